#include "respond/responder.h"

#include <algorithm>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/clock.h"
#include "respond/plan_executor.h"

namespace outguard::respond {

namespace {

using std::chrono::milliseconds;

/// Between two looks at a dying process: often at first, since most are gone in a few milliseconds.
constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLastPause{50};

struct Outcome {
  ResponseStatus status = ResponseStatus::Failed;
  std::string reason;
};

Outcome outcome_of(const Error &error) {
  switch (error.code) {
  case ErrorCode::Refused:
    return {ResponseStatus::Refused, error.message};
  case ErrorCode::Unsupported:
    return {ResponseStatus::NotPossible, error.message};
  default:
    return {ResponseStatus::Failed, error.message};
  }
}

milliseconds longer(milliseconds pause) {
  return std::min(pause * 2, kLastPause);
}

} // namespace

/// A finding's responses share the flow's position and what the kill has reached.
struct Responder::Job {
  Responder &self;
  const Finding &finding;
  VmHands &hands;
  const Report &report;
  std::vector<ResponseDone> done;
  std::optional<std::uint64_t> stopped_us; ///< when the last process was marked
  std::optional<TcpPosition> before_block; ///< what the remote end knows of a flow that we blocked

  [[nodiscard]] const FlowSeen &flow() const { return finding.match.flow; }
  [[nodiscard]] bool dry() const { return finding.mode == ResponseMode::Monitor; }
  [[nodiscard]] const ResponseWanted *wanted(ResponseAction action) const {
    const auto found = std::find_if(finding.wanted.begin(), finding.wanted.end(),
                                    [&](const auto &want) { return want.action == action; });
    return found == finding.wanted.end() || !found->withheld.empty() ? nullptr : &*found;
  }

  /// Since the packet that completed the match.
  [[nodiscard]] std::uint64_t latency_us() const {
    const auto since =
        wall_now().time_since_epoch() - std::chrono::nanoseconds(flow().last_packet_ns);
    const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency));
  }

  void finish(ResponseAction action, const Outcome &outcome) {
    done.push_back({action, outcome.status, outcome.reason, latency_us()});
    if (action == ResponseAction::Kill && stopped_us) {
      const auto paused =
          std::chrono::duration_cast<std::chrono::microseconds>(self.last_kill_.paused);
      done.back().stopped_us = stopped_us;
      done.back().paused_us = static_cast<std::uint64_t>(paused.count());
    }
    if (report) {
      report(done.back());
    }
  }

  Result<void> ask_guard(ResponseAction action) {
    const std::lock_guard lock(self.guard_lock_);
    return self.guard_.allow_network(action, finding.vm.uuid, flow().tuple);
  }
  Result<void> ask_guard(const ProcessSeen &process) {
    const std::lock_guard lock(self.guard_lock_);
    return self.guard_.allow_kill(finding.vm.uuid, process, finding.match);
  }

  // ---- Network
  // ------------------------------------------------------------------------------------

  Outcome block(std::chrono::seconds ttl) {
    if (auto allowed = ask_guard(ResponseAction::BlockFlow); !allowed) {
      return outcome_of(allowed.error());
    }
    if (hands.network == nullptr) {
      return {ResponseStatus::NotPossible, "the VM has no tap that could filter"};
    }
    if (dry()) {
      return {ResponseStatus::DryRun, {}};
    }
    if (wanted(ResponseAction::Reset) != nullptr) {
      before_block = hands.sensor.tcp_position(flow());
    }
    const auto blocked = hands.network->block(flow(), ttl);
    if (!blocked) {
      before_block.reset();
      return outcome_of(blocked.error());
    }
    return {ResponseStatus::Blocked, {}};
  }

  Outcome reset() {
    if (auto allowed = ask_guard(ResponseAction::Reset); !allowed) {
      return outcome_of(allowed.error());
    }
    if (hands.network == nullptr) {
      return {ResponseStatus::NotPossible, "the VM has no tap to send on"};
    }
    const auto now = hands.sensor.tcp_position(flow());
    const ResetPositions positions{now, before_block.value_or(now)};
    if (dry()) {
      const auto possible = hands.network->check_reset(flow(), positions);
      return possible ? Outcome{ResponseStatus::DryRun, {}} : outcome_of(possible.error());
    }
    const auto sent = hands.network->reset(flow(), positions);
    return sent ? Outcome{ResponseStatus::Reset, {}} : outcome_of(sent.error());
  }

  void wake() {
    if (hands.network != nullptr) {
      // Not being able to is no failure of its own: the proof tells what became of the process.
      (void)hands.network->wake(flow(), hands.sensor.tcp_position(flow()));
    }
  }

  // ---- Processes
  // ----------------------------------------------------------------------------------

  /// nullopt: the process is marked and dies when it next runs.
  std::optional<Outcome> mark(const ProcessIdentity &process) {
    const auto deadline = monotonic_now() + self.limits_.plan_time;
    Outcome last{ResponseStatus::Failed, "no plan was tried"};
    milliseconds pause = kFirstPause;
    for (unsigned attempt = 0; attempt < self.limits_.most_plans; ++attempt) {
      if (attempt > 0) {
        if (monotonic_now() >= deadline) {
          break;
        }
        std::this_thread::sleep_for(pause);
        pause = longer(pause);
      }
      ++self.last_kill_.plans;
      if (auto outcome = try_plan(process, last)) {
        return outcome->status == ResponseStatus::Pending ? std::nullopt : outcome;
      }
    }
    last.reason += " (given up after " + std::to_string(self.last_kill_.plans) + " plans)";
    return last;
  }

  /// Pending: written. nullopt: worth another try, `last` says what went wrong.
  std::optional<Outcome> try_plan(const ProcessIdentity &process, Outcome &last) {
    const auto plan = hands.sensor.plan_kill(process);
    if (!plan) {
      if (plan.error().code == ErrorCode::NotFound) {
        return Outcome{ResponseStatus::NotPossible, "the process had already ended"};
      }
      last = outcome_of(plan.error());
      return plan.error().code == ErrorCode::Unsupported ? std::optional(last) : std::nullopt;
    }
    if (plan->process != process) {
      return Outcome{ResponseStatus::Refused, "the plan is for another process"};
    }
    if (auto valid = validate_plan(*plan); !valid) {
      return Outcome{ResponseStatus::Refused, "not a valid plan: " + valid.error().message};
    }
    if (dry()) {
      return Outcome{ResponseStatus::DryRun, {}};
    }
    auto control = hands.open_control();
    if (!control) {
      last = outcome_of(control.error());
      return std::nullopt;
    }
    const auto outcome = execute_plan_guarded(**control, *plan);
    self.last_kill_.paused += outcome.paused;
    switch (outcome.status) {
    case PlanStatus::Applied:
      stopped_us = latency_us();
      return Outcome{ResponseStatus::Pending, {}};
    case PlanStatus::Mismatch:
      last = {ResponseStatus::Failed, outcome.reason};
      return std::nullopt;
    case PlanStatus::Refused:
      return Outcome{ResponseStatus::Refused, outcome.reason};
    case PlanStatus::Failed:
      break;
    }
    last = {ResponseStatus::Failed, outcome.reason};
    return std::nullopt;
  }

  /// Looks until the process is gone, waking it now and then.
  Outcome prove(const ProcessIdentity &process) {
    const auto start = monotonic_now();
    auto next_wake = start + self.limits_.wake_interval;
    milliseconds pause = kFirstPause;
    std::string known = "marked to end; it has not run since, and ends before its next instruction";
    while (monotonic_now() - start < self.limits_.proof_time) {
      const auto fate = hands.sensor.fate(process);
      if (fate && *fate == ProcessFate::Gone) {
        return {ResponseStatus::Killed, {}};
      }
      if (fate && *fate == ProcessFate::Exited) {
        return {ResponseStatus::Killed, "ended; its parent has not collected it yet (zombie)"};
      }
      if (!fate || *fate == ProcessFate::Unknown) {
        known = "marked to end; the guest cannot be read to prove it" +
                (fate ? std::string() : ": " + fate.error().message);
      }
      if (!fate && fate.error().code == ErrorCode::Unreachable) {
        break; // the sensor or the VM is gone: nobody is left to ask
      }
      if (monotonic_now() >= next_wake) {
        wake();
        next_wake = monotonic_now() + self.limits_.wake_interval;
      }
      std::this_thread::sleep_for(pause);
      pause = longer(pause);
    }
    return {ResponseStatus::Pending, known};
  }

  struct Target {
    const ProcessSeen *process;
    std::optional<Outcome> outcome; ///< nullopt: marked, to be proved
  };

  std::vector<Target> mark_all() {
    self.last_kill_ = {};
    std::vector<Target> targets;
    for (const auto &process : finding.match.attribution.processes) {
      Target target{&process, {}};
      if (auto allowed = ask_guard(process); !allowed) {
        target.outcome = outcome_of(allowed.error());
      } else if (process.exited) {
        target.outcome = Outcome{ResponseStatus::NotPossible, "the process had already ended"};
      } else {
        target.outcome = mark(process.identity);
      }
      targets.push_back(std::move(target));
    }
    return targets;
  }

  /// One line for all holders of the socket: killed only if every one is.
  Outcome kill_outcome(std::vector<Target> &targets) {
    if (targets.empty()) {
      return {ResponseStatus::NotPossible, "no process is known to hold the socket"};
    }
    for (auto &target : targets) {
      if (!target.outcome) {
        target.outcome = prove(target.process->identity);
      }
    }
    if (targets.size() == 1) {
      return *targets.front().outcome;
    }
    Outcome all = *targets.front().outcome;
    all.reason.clear();
    for (const auto &target : targets) {
      if (all.status == ResponseStatus::Killed) {
        all.status = target.outcome->status;
      }
      all.reason += fmt::format("{}pid {}: {}{}{}", all.reason.empty() ? "" : "; ",
                                target.process->identity.pid, to_string(target.outcome->status),
                                target.outcome->reason.empty() ? "" : ", ", target.outcome->reason);
    }
    return all;
  }

  void run() {
    for (const auto &want : finding.wanted) {
      if (!want.withheld.empty()) {
        finish(want.action, {ResponseStatus::Skipped, want.withheld});
      }
    }
    if (const auto *want = wanted(ResponseAction::BlockFlow)) {
      finish(ResponseAction::BlockFlow, block(want->ttl));
    }
    std::vector<Target> targets;
    if (wanted(ResponseAction::Kill) != nullptr) {
      targets = mark_all();
    }
    if (wanted(ResponseAction::Reset) != nullptr) {
      finish(ResponseAction::Reset, reset());
    }
    if (wanted(ResponseAction::Kill) != nullptr) {
      if (std::any_of(targets.begin(), targets.end(),
                      [](const Target &target) { return !target.outcome; })) {
        wake();
      }
      finish(ResponseAction::Kill, kill_outcome(targets));
    }
  }
};

std::vector<ResponseDone> Responder::respond(const Finding &finding, VmHands &hands,
                                             const Report &report) {
  Job job{*this, finding, hands, report, {}, {}, {}};
  job.run();
  return std::move(job.done);
}

} // namespace outguard::respond
