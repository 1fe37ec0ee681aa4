#include "daemon/vm_hands.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/clock.h"
#include "daemon/connection_reset.h"
#include "daemon/sensor_link.h"
#include "launch/describe_process.h"
#include "respond/process_signal.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostFamily = 512; ///< processes of one tree

ResponseStatus status_of(ErrorCode code) {
  switch (code) {
  case ErrorCode::Refused:
    return ResponseStatus::Refused;
  case ErrorCode::NotFound:
  case ErrorCode::Unsupported:
    return ResponseStatus::NotPossible;
  default:
    return ResponseStatus::Failed;
  }
}

ResponseDone done(ResponseAction action, const Result<void> &outcome, ResponseStatus good) {
  return outcome
             ? ResponseDone{action, good, {}, 0}
             : ResponseDone{action, status_of(outcome.error().code), outcome.error().message, 0};
}

/// What a signal's status is when it worked.
ResponseStatus wanted_status(GuestSignal signal, bool dry) {
  return dry                           ? ResponseStatus::DryRun
         : signal == GuestSignal::Kill ? ResponseStatus::Killed
         : signal == GuestSignal::Stop ? ResponseStatus::Suspended
                                       : ResponseStatus::Done;
}

tl::unexpected<Error> no_such_way(ResponseAction action) {
  return fail(ErrorCode::Unsupported,
              fmt::format("there is no {} in this version", to_string(action)));
}

/// Of what matched: until now.
std::optional<std::uint64_t> microseconds_since(const MatchSeen *match) {
  if (match == nullptr) {
    return std::nullopt;
  }
  const auto since =
      wall_now().time_since_epoch() - std::chrono::nanoseconds(match->flow.last_packet_ns);
  const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency));
}

/// One process's proof is not waited for long: the desk looks again, and the next is signalled.
respond::ProcessSignalLimits limits_for(const ActionWanted &wanted) {
  respond::ProcessSignalLimits limits;
  if (!wanted.tree) {
    limits.proof_time = std::chrono::milliseconds(500);
  }
  return limits;
}

} // namespace

VmHands::VmHands(hypervisor::VmFound vm, respond::GuardPolicy policy, EvidenceConfig evidence)
    : vm_(std::move(vm)), evidence_(std::move(evidence)), guard_(std::move(policy), vm_.key()),
      taps_(vm_) {}

void VmHands::take_sensor(std::shared_ptr<launch::SensorProcess> sensor) {
  const std::lock_guard lock(mutex_);
  sensor_ = std::move(sensor);
}

void VmHands::take_memory(MemoryLayout writable) {
  const std::lock_guard lock(mutex_);
  writable_ = std::move(writable);
}

Result<std::shared_ptr<launch::SensorProcess>> VmHands::sensor() {
  const std::lock_guard lock(mutex_);
  if (!sensor_) {
    return fail(ErrorCode::Unreachable, "the VM has no sensor at the moment");
  }
  return sensor_;
}

Result<std::unique_ptr<hypervisor::VmControl>> VmHands::open_control() {
  MemoryLayout writable;
  {
    const std::lock_guard lock(mutex_);
    writable = writable_;
  }
  return hypervisor::QemuControl::open(vm_, writable);
}

// ---- Processes

Result<ProcessSeen> VmHands::look_at(std::int32_t pid) {
  const auto asked = sensor();
  if (!asked) {
    return tl::unexpected(asked.error());
  }
  auto seen = launch::describe_process(**asked, pid, {});
  if (!seen) {
    return tl::unexpected(seen.error());
  }
  return std::move(seen->detail.process);
}

Result<ProcessSeen> VmHands::find(const ProcessIdentity &process) {
  auto seen = look_at(process.pid);
  if (seen && seen->identity != process) {
    return fail(ErrorCode::NotFound,
                fmt::format("process {} has ended: another one has its pid now", process.pid));
  }
  return seen;
}

Result<std::vector<ProcessSeen>> VmHands::family(const ActionWanted &wanted) {
  auto first = find(wanted.process.value_or(ProcessIdentity()));
  if (!first) {
    return tl::unexpected(first.error());
  }
  std::vector<ProcessSeen> all{std::move(*first)};
  if (!wanted.tree) {
    return all;
  }
  const auto asked = sensor();
  const auto table = asked ? launch::list_processes(**asked) : tl::unexpected(asked.error());
  if (!table) {
    return tl::unexpected(table.error());
  }
  if (table->completeness.partial) {
    return fail(ErrorCode::Unsupported,
                "who descends from it is not known for sure: " + table->completeness.reason);
  }
  for (std::size_t i = 0; i < all.size(); ++i) { // grows meanwhile
    for (const auto &row : table->rows) {
      if (row.ppid != all[i].identity.pid) {
        continue; // most rows: only a child is looked for among those that are known
      }
      const bool known = std::any_of(all.begin(), all.end(), [&](const ProcessSeen &one) {
        return one.identity.pid == row.identity.pid;
      });
      if (!known) {
        all.push_back(row);
      }
    }
    if (all.size() > kMostFamily) {
      return fail(ErrorCode::LimitReached,
                  fmt::format("it has more than {} descendants", kMostFamily));
    }
  }
  return all;
}

Result<void> VmHands::check(const ProcessSeen &process) {
  auto allowed = guard_.check_process(process);
  if (!allowed) {
    allowed.error().message = fmt::format("pid {} {}: {}", process.identity.pid,
                                          process.comm.printable(), allowed.error().message);
  }
  return allowed;
}

/// Each is told before any is waited for: a parent that lives on could start others.
ResponseDone VmHands::signal(const ActionWanted &wanted, GuestSignal signal, bool dry) {
  const auto targets = family(wanted);
  if (!targets) {
    return done(wanted.action, tl::unexpected(targets.error()), ResponseStatus::Done);
  }
  auto asked = sensor();
  SensorLink link(asked ? std::move(*asked) : nullptr);
  respond::VmHands hands{link, nullptr, [this] { return open_control(); }};
  const auto limits = limits_for(wanted);
  const auto wake = [&] {
    if (wanted.match) {
      taps_.wake(wanted.match->flow, link);
    }
  };
  std::vector<respond::ProcessSignal> signals;
  std::vector<std::optional<respond::SignalResult>> results;
  for (const auto &target : *targets) {
    auto &one = signals.emplace_back(target.identity, signal, hands, limits);
    results.push_back(dry ? one.check() : one.deliver());
  }
  ResponseDone all{wanted.action, {}, {}, 0};
  if (!dry && !results.back()) {
    all.stopped_us = microseconds_since(wanted.match.get());
  }
  if (std::any_of(signals.begin(), signals.end(),
                  [](const auto &one) { return one.is_only_marked(); })) {
    wake();
  }
  std::size_t good = 0;
  std::chrono::nanoseconds paused{};
  for (std::size_t i = 0; i < signals.size(); ++i) {
    const bool sleeps = !results[i] && signals[i].is_only_marked();
    const auto result = results[i] ? *results[i]
                        : sleeps   ? signals[i].prove(wake)
                                   : signals[i].prove();
    paused += signals[i].paused();
    const bool is_good = result.status == wanted_status(signal, dry);
    good += is_good ? 1 : 0;
    if (i == 0 || all.status == wanted_status(signal, dry)) {
      all.status = result.status;
      all.reason = is_good && i > 0 ? all.reason : result.reason;
    }
  }
  if (signals.size() > 1) {
    all.reason = fmt::format("{} of {} processes{}{}", good, signals.size(),
                             all.reason.empty() ? "" : "; ", all.reason);
  }
  all.paused_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(paused).count());
  return all;
}

Result<ProcessFate> VmHands::fate(const ActionWanted &wanted) {
  const auto asked = sensor();
  return asked ? launch::check_fate(**asked, wanted.process.value_or(ProcessIdentity()))
               : tl::unexpected(asked.error());
}

ResponseDone VmHands::collect(const ActionWanted &wanted, bool dry) {
  const auto asked = sensor();
  return asked ? act_evidence(**asked, vm_, wanted, evidence_, dry)
               : done(wanted.action, tl::unexpected(asked.error()), ResponseStatus::Done);
}

// ---- The VM

ResponseDone VmHands::pause(bool dry) {
  constexpr auto kAction = ResponseAction::PauseVm;
  const auto control = open_control();
  const auto state = control ? (*control)->status() : tl::unexpected(control.error());
  if (!state) {
    return done(kAction, tl::unexpected(state.error()), ResponseStatus::Done);
  }
  if (!state->running) {
    return {kAction, ResponseStatus::NotPossible, "the VM is not running: " + state->status, 0};
  }
  if (dry) {
    return {kAction, ResponseStatus::DryRun, {}, 0};
  }
  const auto paused = (*control)->pause();
  const auto after = (*control)->status();
  if (after && !after->running) {
    return {kAction, ResponseStatus::Done, {}, 0};
  }
  return {kAction, ResponseStatus::Failed,
          !paused ? paused.error().message
          : after ? "QEMU took the order, and the VM still runs"
                  : after.error().message,
          0};
}

Result<void> VmHands::unpause() {
  const auto control = open_control();
  const auto state = control ? (*control)->status() : tl::unexpected(control.error());
  if (!state) {
    return tl::unexpected(state.error());
  }
  if (state->running) {
    return {};
  }
  if (state->status != "paused") { // a migration's, a crash's, an input-output error's
    return fail(ErrorCode::Refused, "the VM no longer stands by our order: " + state->status);
  }
  if (auto resumed = (*control)->resume(); !resumed) {
    return resumed;
  }
  const auto after = (*control)->status();
  if (!after) {
    return tl::unexpected(after.error());
  }
  return after->running ? Result<void>()
                        : fail(ErrorCode::SystemFailed, "the VM does not run: " + after->status);
}

// ---- Its traffic

ResponseDone VmHands::change_traffic(const ActionWanted &wanted, bool dry) {
  auto asked = sensor();
  SensorLink link(asked ? std::move(*asked) : nullptr);
  const bool is_reset = wanted.action == ResponseAction::Reset;
  const auto good = dry        ? ResponseStatus::DryRun
                    : is_reset ? ResponseStatus::Reset
                               : ResponseStatus::Blocked;
  if (is_reset) {
    return done(wanted.action, reset(wanted, link, dry), good);
  }
  const auto sound = respond::check_rule(*wanted.rule, wanted.ttl);
  return done(wanted.action,
              sound ? taps_.block(*wanted.rule, wanted.ttl, wanted.match.get(), link, dry) : sound,
              good);
}

Result<void> VmHands::reset(const ActionWanted &wanted, respond::SensorLink &link, bool dry) {
  if (wanted.match) {
    return taps_.reset(wanted.match->flow, link, dry);
  }
  const auto asked = sensor();
  const auto &tuple = std::get<FlowRule>(*wanted.rule).flow;
  return asked ? reset_connection(*asked, taps_, tuple, dry) : tl::unexpected(asked.error());
}

// ---- What the desk asks

Result<void> VmHands::allow(const ActionWanted &wanted) {
  const bool harms =
      wanted.action != ResponseAction::Resume && wanted.action != ResponseAction::Evidence;
  if (wanted.process && harms) {
    const auto targets = family(wanted);
    if (!targets) {
      return tl::unexpected(targets.error());
    }
    for (const auto &process : *targets) {
      if (auto allowed = check(process); !allowed) {
        return allowed;
      }
    }
  }
  IpNetwork remote;
  if (!wanted.rule) {
    return {};
  }
  if (const auto *flow = std::get_if<FlowRule>(&*wanted.rule)) {
    remote.address = flow->flow.remote.address;
    remote.prefix_length = static_cast<std::uint8_t>(remote.address.octets().size() * 8);
  } else if (const auto *rule = std::get_if<RemoteRule>(&*wanted.rule)) {
    remote = rule->remote;
  } else {
    return {}; // a port's and an isolation's exceptions are in the rule
  }
  return guard_.check_remote(remote);
}

ResponseDone VmHands::act(const ActionWanted &wanted, bool dry) {
  switch (wanted.action) {
  case ResponseAction::Kill:
    return signal(wanted, GuestSignal::Kill, dry);
  case ResponseAction::Suspend:
    return signal(wanted, GuestSignal::Stop, dry);
  case ResponseAction::Resume:
    return signal(wanted, GuestSignal::Continue, dry);
  case ResponseAction::Evidence:
    return collect(wanted, dry);
  case ResponseAction::PauseVm:
    return pause(dry);
  case ResponseAction::UnpauseVm:
    return done(wanted.action, dry ? Result<void>() : unpause(),
                dry ? ResponseStatus::DryRun : ResponseStatus::Done);
  case ResponseAction::Reset:
  case ResponseAction::BlockFlow:
  case ResponseAction::BlockRemote:
  case ResponseAction::BlockPort:
  case ResponseAction::Isolate:
    if (wanted.rule) {
      return change_traffic(wanted, dry);
    }
    break;
  default:
    break;
  }
  return done(wanted.action, no_such_way(wanted.action), ResponseStatus::Done);
}

Result<void> VmHands::undo(const ActionWanted &wanted) {
  switch (wanted.action) {
  case ResponseAction::PauseVm:
    return unpause();
  case ResponseAction::Suspend: {
    if (const auto there = find(wanted.process.value_or(ProcessIdentity())); !there) {
      return tl::unexpected(there.error());
    }
    const auto resumed = signal(wanted, GuestSignal::Continue, false);
    return resumed.status == ResponseStatus::Done ? Result<void>()
                                                  : fail(ErrorCode::SystemFailed, resumed.reason);
  }
  case ResponseAction::BlockFlow:
  case ResponseAction::BlockRemote:
  case ResponseAction::BlockPort:
  case ResponseAction::Isolate:
    return taps_.unblock(*wanted.rule);
  default:
    return fail(ErrorCode::Unsupported,
                fmt::format("{} cannot be undone", to_string(wanted.action)));
  }
}

Result<bool> VmHands::holds(const ActionWanted &wanted) {
  switch (wanted.action) {
  case ResponseAction::Kill: {
    const auto seen = fate(wanted);
    const bool is_over = seen && (*seen == ProcessFate::Gone || *seen == ProcessFate::Exited);
    if (seen && !is_over && wanted.match) { // it may sleep, and ends when it runs
      const auto asked = sensor();
      SensorLink link(asked.value_or(nullptr));
      taps_.wake(wanted.match->flow, link);
    }
    return seen.map([&](ProcessFate) { return is_over; });
  }
  case ResponseAction::Evidence:
    return has_evidence(vm_, wanted, evidence_);
  case ResponseAction::Suspend:
    return fate(wanted).map([](ProcessFate seen) { return seen == ProcessFate::Stopped; });
  case ResponseAction::Resume:
    return fate(wanted).map([](ProcessFate seen) { return seen != ProcessFate::Stopped; });
  case ResponseAction::PauseVm:
  case ResponseAction::UnpauseVm: {
    const auto control = open_control();
    const auto state = control ? (*control)->status() : tl::unexpected(control.error());
    if (!state) {
      return tl::unexpected(state.error());
    }
    return state->running == (wanted.action == ResponseAction::UnpauseVm);
  }
  case ResponseAction::BlockFlow:
  case ResponseAction::BlockRemote:
  case ResponseAction::BlockPort:
  case ResponseAction::Isolate:
    return taps_.is_blocked(*wanted.rule);
  case ResponseAction::Reset: {
    const auto asked = sensor();
    const auto stands = asked ? is_connected(**asked, std::get<FlowRule>(*wanted.rule).flow)
                              : tl::unexpected(asked.error());
    return stands.map([](bool connected) { return !connected; });
  }
  default:
    return no_such_way(wanted.action);
  }
}

} // namespace outguard::daemon
