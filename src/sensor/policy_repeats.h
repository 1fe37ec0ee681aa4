#pragma once
// How often flows of one process were refused by one rule, so that a repeat is told from news: a
// default-deny VM that is scanned, or a program that tries for ever, is no flood of alerts. In
// constant memory; who was refused least recently is forgotten first. One thread.

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "facts/process_seen.h"

namespace outguard::sensor {

class PolicyRepeats {
public:
  static constexpr std::size_t kMost = 1024;
  /// Remote ends of one process and rule that are each news; further ones only count.
  static constexpr std::size_t kMostRemotes = 16;
  /// Quiet for so long: the next one is news again.
  static constexpr std::int64_t kQuiet = 3600LL * 1'000'000'000;

  /// What is counted together: of nobody (`process` is empty) all remote ends that knocked in vain
  /// are one.
  struct Key {
    ProcessIdentity process;
    std::string rule;
    bool answered = true;
    auto operator<=>(const Key &) const = default;
  };
  struct Told {
    std::uint64_t flows = 0;
    bool repeat = false; ///< the 10th, 100th, ... are told again, for their count
  };
  [[nodiscard]] Told add(const Key &key, const IpAddress &remote, std::int64_t now_ns);

private:
  struct Entry {
    std::uint64_t flows = 0;
    std::int64_t last_ns = 0;
    std::vector<IpAddress> remotes;
    std::list<Key>::iterator use;
  };
  [[nodiscard]] Entry &find_or_make(const Key &key);

  std::map<Key, Entry> entries_;
  std::list<Key> by_use_; ///< the latest first
};

} // namespace outguard::sensor
