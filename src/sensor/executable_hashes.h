#pragma once
// Hashes the executables of processes that alerts name, a slice at a time between the packets, and
// publishes each result. A file that was hashed already and has not changed is not read again. One
// thread; owns neither guest nor outlet.

#include <deque>
#include <map>

#include "facts/messages.h"
#include "guest/linux/linux_guest.h"
#include "sensor/guest_view.h"
#include "sensor/outlet.h"

namespace outguard::sensor {

class ExecutableHashes {
public:
  /// A larger executable is told as too large: reading it would hold up packets for too long.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;

  ExecutableHashes(GuestView &view, Outlet &outlet) : view_(view), outlet_(outlet) {}

  /// Of the process that a match names first. Looks its file up now, since the process may soon be
  /// ended; the file's pages stay.
  void want(const MatchSeen &match);
  [[nodiscard]] bool has_work() const { return !queue_.empty(); }
  /// At most one slice, a few milliseconds.
  void work();
  /// The guest is about to be another one.
  void forget();

private:
  struct Job {
    ExecutableHashed answer;
    guest::FileHasher hasher;
  };
  void tell(ExecutableHashed answer, const FileHash &hash);

  GuestView &view_;
  Outlet &outlet_;
  std::deque<Job> queue_;
  std::map<guest::CachedFile, FileHash> known_; ///< complete ones
};

} // namespace outguard::sensor
