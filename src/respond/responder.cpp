#include "respond/responder.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/clock.h"

namespace outguard::respond {

namespace {

using Outcome = SignalResult;

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
      return result_of(allowed.error());
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
      return result_of(blocked.error());
    }
    return {ResponseStatus::Blocked, {}};
  }

  Outcome reset() {
    if (auto allowed = ask_guard(ResponseAction::Reset); !allowed) {
      return result_of(allowed.error());
    }
    if (hands.network == nullptr) {
      return {ResponseStatus::NotPossible, "the VM has no tap to send on"};
    }
    const auto now = hands.sensor.tcp_position(flow());
    const ResetPositions positions{now, before_block.value_or(now)};
    if (dry()) {
      const auto possible = hands.network->check_reset(flow(), positions);
      return possible ? Outcome{ResponseStatus::DryRun, {}} : result_of(possible.error());
    }
    const auto sent = hands.network->reset(flow(), positions);
    return sent ? Outcome{ResponseStatus::Reset, {}} : result_of(sent.error());
  }

  void wake() {
    if (hands.network != nullptr) {
      // Not being able to is no failure of its own: the proof tells what became of the process.
      (void)hands.network->wake(flow(), hands.sensor.tcp_position(flow()));
    }
  }

  // ---- Processes
  // ----------------------------------------------------------------------------------

  struct Target {
    const ProcessSeen *process;
    ProcessSignal kill;
    std::optional<Outcome> outcome; ///< nullopt: under way, to be proved
  };

  std::vector<Target> mark_all() {
    self.last_kill_ = {};
    std::vector<Target> targets;
    for (const auto &process : finding.match.attribution.processes) {
      Target target{&process, {process.identity, GuestSignal::Kill, hands, self.limits_}, {}};
      if (auto allowed = ask_guard(process); !allowed) {
        target.outcome = result_of(allowed.error());
      } else if (process.exited) {
        target.outcome = Outcome{ResponseStatus::NotPossible, "the process had already ended"};
      } else {
        target.outcome = dry() ? target.kill.check() : target.kill.deliver();
        self.last_kill_.paused += target.kill.paused();
        self.last_kill_.plans += target.kill.plans();
        if (!target.outcome) {
          stopped_us = latency_us();
        }
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
        target.outcome = target.kill.is_only_marked() ? target.kill.prove([this] { wake(); })
                                                      : target.kill.prove();
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
      if (std::any_of(targets.begin(), targets.end(), [](const Target &target) {
            return !target.outcome && target.kill.is_only_marked();
          })) {
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
