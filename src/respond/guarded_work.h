#pragma once
// Work on a VM in processes of its own, so that no death of one of them leaves the VM paused or
// half changed: a worker carries out, a keeper waits for its end, and this process for both. A
// worker that dies after it began is mended by its keeper; if both die, by this process; if this
// process dies, the other two finish. Only the death of all three at once (a power cut, or SIGKILL
// to the whole service) leaves anything, which the next use finds.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"

namespace outguard::respond {

/// What the worker tells: plain values, since it travels through a pipe.
struct WorkReport {
  std::uint8_t status = 0; ///< the work's own
  std::uint32_t index = 0;
  std::chrono::nanoseconds paused{}, took{};
  std::string reason;
};

struct GuardedWork {
  /// Calls its argument right before it begins to change the VM.
  std::function<WorkReport(const std::function<void()> &)> carry_out;
  /// Puts the VM right, whatever carry_out() had come to; run in another process than that.
  std::function<Result<void>()> mend;
  std::chrono::milliseconds time{}; ///< carry_out() is ended after it
  const char *mended = "";          ///< what mend() did, in our words
};

struct GuardedOutcome {
  std::optional<WorkReport> report;
  std::string trouble; ///< without a report: what happened, and how the VM was left
};

/// Uses of this process, in the children, only what no other thread can have locked: malloc is
/// fork-safe in glibc, and neither function may log.
[[nodiscard]] GuardedOutcome run_guarded(const GuardedWork &work);

} // namespace outguard::respond
