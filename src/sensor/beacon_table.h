#pragma once
// The latest contacts of each (process, destination) of one VM, in constant memory: a fixed table
// under a keyed hash. Where there is no room, the least recently seen that shows no pattern yet
// gives way. One thread.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "guest/packets/keyed_hash.h"
#include "sensor/beacon_score.h"

namespace outguard::sensor {

class BeaconTable {
public:
  struct Counts {
    std::uint64_t contacts = 0;
    std::uint64_t evicted = 0; ///< destinations that were forgotten for others
    std::uint64_t findings = 0;
  };

  /// Contacts this close together are one: a page opens several connections.
  static constexpr std::int64_t kSameContact = 1'000'000'000;
  /// Told as a finding from here on; see beacon_table_test.cpp for what that takes and leaves.
  static constexpr std::uint8_t kFindingScore = 70;
  static constexpr std::uint16_t kFindingIntervals = 12;
  static constexpr std::uint64_t kLookEvery = 4; ///< contacts; a score costs most of a microsecond
  static constexpr std::int64_t kCoolDown = 24LL * 3600 * 1'000'000'000;
  /// 2,048 destinations, about 0.7 MB, taken at the first contact.
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 256;

  explicit BeaconTable(const guest::HashSeed &seed) : seed_(seed) {}

  /// Never 0. A process by what it runs, not by its pid: something may start it each time anew.
  [[nodiscard]] std::uint64_t key(std::string_view process, std::uint8_t protocol,
                                  const Endpoint &remote) const;
  [[nodiscard]] std::uint64_t key(std::string_view process, std::string_view name) const;

  /// In any order: flows are counted when they end. False: part of a contact that was counted.
  bool add(std::uint64_t key, const Contact &contact);
  /// The name of a destination that is told by name; kept with its contacts.
  void name(std::uint64_t key, std::string_view name, std::int64_t now_ns);
  /// nullopt: not known, or too few contacts to tell anything.
  [[nodiscard]] std::optional<BeaconScore> score(std::uint64_t key) const;
  /// A score that is a finding, once in kCoolDown.
  [[nodiscard]] std::optional<BeaconScore> take_finding(std::uint64_t key, std::int64_t now_ns);

  [[nodiscard]] const Counts &counts() const { return counts_; }

private:
  /// What is looked at to find or make room, of all destinations in a few cache lines.
  struct Tag {
    std::uint64_t key = 0;    ///< 0: free
    std::int64_t seen_ns = 0; ///< latest start or naming
    std::uint32_t count = 0;  ///< of the contacts kept
  };
  struct Entry {
    std::uint64_t total = 0;
    std::int64_t first_ns = 0;
    std::int64_t told_ns = 0; ///< 0: never
    std::string name;
    std::array<Contact, kMostIntervals + 1> contacts{}; ///< by start
  };

  [[nodiscard]] std::optional<std::size_t> find(std::uint64_t key) const;
  [[nodiscard]] std::size_t find_or_make(std::uint64_t key);
  [[nodiscard]] BeaconScore score_of(std::size_t index) const;

  guest::HashSeed seed_;
  std::vector<Tag> tags_;      ///< by set
  std::vector<Entry> entries_; ///< likewise
  Counts counts_;
};

} // namespace outguard::sensor
