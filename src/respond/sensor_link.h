#pragma once
// What the responder asks of a VM's sensor. The daemon implements it over the sensor's socket.
// Answers come from a process that may have been taken over: they are checked, or only ever
// believed as far as they harm that one VM.

#include "base/result.h"
#include "facts/flow_seen.h"
#include "facts/process_seen.h"
#include "facts/signal_plan.h"
#include "facts/write_plan.h"

namespace outguard::respond {

class SensorLink {
public:
  SensorLink() = default;
  SensorLink(const SensorLink &) = delete;
  SensorLink &operator=(const SensorLink &) = delete;
  virtual ~SensorLink() = default;

  /// NotFound: the process is gone. Unsupported: no plan can be made for this kernel; everything
  /// else (a lock held, torn reads) is worth another try.
  [[nodiscard]] virtual Result<WritePlan> plan_kill(const ProcessIdentity &process) = 0;
  /// The same errors.
  [[nodiscard]] virtual Result<SignalPlan> plan_signal(const ProcessIdentity &, GuestSignal) {
    return fail(ErrorCode::Unsupported, "no way to call the guest's kernel");
  }
  [[nodiscard]] virtual Result<ProcessFate> fate(const ProcessIdentity &process) = 0;
  /// Where the flow is now. A reset only counts at exactly the next sequence number (RFC 5961), so
  /// fresher than the finding is better; the finding's own is the fallback.
  [[nodiscard]] virtual TcpPosition tcp_position(const FlowSeen &flow) { return flow.tcp; }
};

} // namespace outguard::respond
