#pragma once
// Flows whose process runs a file that may be listed, until somebody has hashed it. Asked in the
// packet path, so it reads nothing of the guest: what a process was found to run is believed for a
// while. Bounded; what finds no room is counted. One thread.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "facts/flow_seen.h"

namespace outguard::sensor {

enum class FileVerdict : std::uint8_t { Listed, NotListed, Unknown };

class UnhashedFlows {
public:
  static constexpr std::size_t kMostFlows = 64;
  static constexpr std::size_t kMostKnown = 1024;
  /// A process may execute another file of the same name; looking anew costs little, as a file that
  /// was hashed is known. Not so where there was no hash: pages were missing, or it is too large.
  static constexpr std::chrono::seconds kTrust{1}, kTrustUnknown{60};

  /// Is this process's file to be looked at? Not where it was a moment ago and is not listed.
  [[nodiscard]] bool wants(const ProcessSeen &process, MonotonicTime now) const;
  /// Keeps a flow and whose it is, without an indicator. False: no room.
  [[nodiscard]] bool add(MatchSeen match);
  [[nodiscard]] std::optional<MatchSeen> take();
  [[nodiscard]] bool empty() const { return flows_.empty(); }

  void settle(const ProcessSeen &process, FileVerdict verdict, MonotonicTime now);
  /// Other files are listed now.
  void forget() { known_.clear(); }

private:
  using Key = std::pair<ProcessIdentity, std::size_t /*path*/>;
  [[nodiscard]] static Key key_of(const ProcessSeen &process);

  std::deque<MatchSeen> flows_;
  std::map<Key, MonotonicTime> known_; ///< not listed, believed until then
};

} // namespace outguard::sensor
