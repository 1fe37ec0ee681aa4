#pragma once
// Hashes the executables of processes that alerts name and, where intelligence lists files, of
// those that flows belong to: a slice at a time between the packets. Publishes each result of an
// alert, and has it looked up. A file that was hashed already and has not changed is not read
// again. One thread; owns neither guest nor outlet.

#include <deque>
#include <map>

#include "base/clock.h"
#include "facts/messages.h"
#include "guest/linux/linux_guest.h"
#include "sensor/guest_view.h"
#include "sensor/match_sink.h"
#include "sensor/outlet.h"

namespace outguard::sensor {

class ExecutableHashes {
public:
  /// A larger executable is told as too large: reading it would hold up packets for too long.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;

  ExecutableHashes(GuestView &view, Outlet &outlet, MatchSink &sink)
      : view_(view), outlet_(outlet), sink_(sink) {}

  /// Of the process that a match names first. Looks its file up now, since the process may soon be
  /// ended; the file's pages stay.
  void want(const MatchSeen &match);
  [[nodiscard]] bool has_work() const { return !queue_.empty() || sink_.has_unhashed(); }
  /// At most one slice, a few milliseconds.
  void work();
  /// All of it, for at most `budget`, which is less by what it took. What is left when that is used
  /// up is told as not hashed.
  void drain(std::chrono::nanoseconds &budget);
  /// The guest is about to be another one.
  void forget();

private:
  enum class Cause : std::uint8_t { Alert, Flow };
  struct Job {
    Cause cause = Cause::Alert;
    MatchSeen match; ///< at most 64 of them, each fits into an event
    guest::FileHasher hasher;
  };
  void begin(Cause cause, const MatchSeen &match);
  void step();
  void give_up();
  void tell(Cause cause, const MatchSeen &match, const FileHash &hash);

  GuestView &view_;
  Outlet &outlet_;
  MatchSink &sink_;
  std::deque<Job> queue_;
  std::map<guest::CachedFile, FileHash> known_; ///< complete ones
};

} // namespace outguard::sensor
