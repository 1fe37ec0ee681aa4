#pragma once
// What policy wants done about a finding, and what was really done. `ResponseDone` is a report: a
// status that claims an effect (blocked, killed) is set only after the effect was read back.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace outguard {

enum class ResponseAction : std::uint8_t {
  Reset,       ///< TCP reset to both ends of the flow
  BlockFlow,   ///< drop the flow both ways at the tap, until the time to live ends
  BlockRemote, ///< drop all between the VM and a remote network, likewise
  BlockPort,   ///< drop all of one protocol and port of the VM, likewise
  Isolate,     ///< drop all but an allowlist, likewise
  Release,     ///< the end of an isolation
  Kill,        ///< end the guest process
  Suspend,     ///< stop the guest process (SIGSTOP)
  Resume,      ///< let it go on (SIGCONT)
  PauseVm,     ///< stop all of the VM's processors
  UnpauseVm,   ///< only a VM that we paused
  Evidence,    ///< collect what is known of the process into an archive
};
inline constexpr std::size_t kResponseActions =
    static_cast<std::size_t>(ResponseAction::Evidence) + 1;
/// "reset", "block_flow", "block_remote", "block_port", "isolate", "release", "kill", "suspend",
/// "resume", "pause_vm", "unpause_vm", "evidence".
[[nodiscard]] const char *to_string(ResponseAction action);

enum class ResponseStatus : std::uint8_t {
  Pending,     ///< begun; the effect is not proved yet
  Reset,       ///< resets left for both ends; whether each took it is not known
  Blocked,     ///< the filter entry was read back from the kernel
  Killed,      ///< a read of the guest after the write plan shows that the process is gone
  DryRun,      ///< monitor mode: everything but the last step was done
  Refused,     ///< a guard said no (protected process, budget, ...)
  NotPossible, ///< this flow, guest or host offers no way to do it
  Failed,      ///< tried, and it did not work
  Skipped,     ///< not tried: what matched accuses somebody else, or nobody
  Waiting,     ///< for somebody's approval
  Suspended,   ///< a read of the guest shows that every thread of the process is stopped
  Done,        ///< of actions without a word of their own: read back, it is as wanted
  Undone,      ///< it was done, and read back, it no longer is in force
};
/// "pending", "reset", "blocked", "killed", "dry_run", "refused", "not_possible", "failed",
/// "skipped", "waiting", "suspended", "done", "undone".
[[nodiscard]] const char *to_string(ResponseStatus status);

enum class ResponseMode : std::uint8_t {
  Monitor,
  Enforce,
  Prevent, ///< Enforce, and first packets are held until they were judged
};
/// "monitor", "enforce", "prevent".
[[nodiscard]] const char *to_string(ResponseMode mode);

struct ResponseWanted {
  ResponseAction action = ResponseAction::Reset;
  std::chrono::seconds ttl{0}; ///< of a block; 0 for actions that end by themselves
  std::string withheld = {};   ///< why it is not done after all; empty: do it

  auto operator<=>(const ResponseWanted &) const = default;
};

struct ResponseDone {
  ResponseAction action = ResponseAction::Reset;
  ResponseStatus status = ResponseStatus::Pending;
  std::string reason;           ///< why refused, not possible or failed; our own words
  std::uint64_t latency_us = 0; ///< packet that matched to this status
  /// Kill only: packet that matched until the process could run no more user code, and how long the
  /// VM stood still for that.
  std::optional<std::uint64_t> stopped_us = {};
  std::optional<std::uint64_t> paused_us = {};
  std::string action_id = {}; ///< in the journal of actions; empty: it was not even asked for

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.action, self.status, self.reason, self.latency_us, self.stopped_us, self.paused_us,
         self.action_id);
  }
};

} // namespace outguard
