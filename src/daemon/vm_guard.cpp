#include "daemon/vm_guard.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "detect/hold_rules.h"
#include "facts/guest_text.h"
#include "hypervisor/vm_control.h"
#include "store/eve_flow.h"
#include "store/json_lines.h"

namespace outguard::daemon {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kEventWait{200};  ///< how late an end or a retry may be noticed
constexpr milliseconds kFirstPause{250}; ///< before a sensor that ended is started again
constexpr milliseconds kLongestPause{5000};
constexpr std::chrono::seconds kCountInterval{10}; ///< how often losses are looked for
constexpr std::chrono::seconds kFirstCount{1};
constexpr std::chrono::seconds kGoodLife{30}; ///< a sensor that lived this long starts anew at once

/// A VM whose packets are not held is one of mode enforce.
detect::Policy policy_of(const Config &config, bool prevents) {
  return config.policy.mode() == ResponseMode::Prevent && !prevents
             ? detect::Policy::make(ResponseMode::Enforce, config.policy.rules(),
                                    config.policy.firewall_ttl())
                   .value()
             : config.policy;
}

std::uint64_t value_of(const std::vector<NamedCount> &counts, std::string_view name) {
  const auto found = std::find_if(counts.begin(), counts.end(),
                                  [&](const NamedCount &one) { return one.name == name; });
  return found == counts.end() ? 0 : found->value;
}

} // namespace

VmGuard::VmGuard(hypervisor::VmFound vm, const Shared &shared)
    : vm_(std::move(vm)), name_(GuestText(vm_.name.empty() ? vm_.key() : vm_.name).printable()),
      shared_(shared), prevents_(shared.config.policy.mode() == ResponseMode::Prevent &&
                                 shared.config.hold.holds(vm_.name, vm_.key())),
      detector_(policy_of(shared.config, prevents_)), responses_(vm_.key(), shared.responses),
      hands_(std::make_shared<VmHands>(vm_, shared.guard_policy, shared.config.evidence)),
      policy_(shared.policies, vm_.name, vm_.uuid), intel_(shared.intel, name_),
      identity_(vm_.identity()) {
  watching_ = std::thread([this] { watch(); });
}

void VmGuard::end() {
  std::shared_ptr<launch::SensorProcess> sensor;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    sensor = sensor_;
  }
  changed_.notify_all();
  responses_.end();
  if (sensor) {
    sensor->stop(); // whoever waits for an answer has it now
  }
}

VmGuard::~VmGuard() {
  end();
  watching_.join();
}

api::GuardStatus VmGuard::status() const {
  api::GuardStatus status;
  status.vm = vm_.name.empty() ? vm_.key() : vm_.name;
  status.uuid = vm_.uuid;
  status.pid = vm_.pid;
  for (const auto &tap : vm_.taps) {
    status.taps.push_back(tap.name);
  }
  status.intel_version = intel_.version();
  status.policy = policy_.in_force();
  const std::lock_guard lock(mutex_);
  status.state = to_string(state_);
  status.reason = state_ == GuestState::Ready ? "" : reason_;
  status.since = state_since_;
  status.prevention = prevention_;
  status.kernel = identity_.kernel.raw();
  status.sensor = sensor_ != nullptr;
  status.counted = counted_;
  status.packets_seen = counters_.seen;
  status.packets_processed = counters_.processed;
  status.packets_dropped = counters_.dropped;
  status.counters = counters_.other;
  return status;
}

bool VmGuard::sleep_for(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return ending_; });
}

void VmGuard::set_state(GuestState state, const std::string &reason) {
  const std::lock_guard lock(mutex_);
  reason_ = reason;
  if (state_ != state) {
    state_ = state;
    state_since_ = wall_now();
    const auto text = to_string(state) + (reason.empty() ? std::string() : ": " + reason);
    tell(text, state == GuestState::Ready);
  }
}

void VmGuard::tell(const std::string &text, bool is_good) {
  const auto left_out = pace_.take(monotonic_now());
  if (!left_out) {
    return;
  }
  const auto before = *left_out == 0
                          ? std::string()
                          : " (after " + std::to_string(*left_out) + " lines that are left out)";
  is_good ? log::info(name_ + ": " + text + before) : log::warning(name_ + ": " + text + before);
}

// ---- Watching
// ----------------------------------------------------------------------------------------

void VmGuard::watch() {
  auto pause = kFirstPause;
  while (true) {
    const auto started = monotonic_now();
    if (start_sensor()) {
      take_events();
    }
    intel_.end();
    {
      const std::lock_guard lock(mutex_);
      sensor_.reset();
    }
    hands_->take_sensor(nullptr);
    const bool lived = monotonic_now() - started > kGoodLife;
    pause = lived ? kFirstPause : std::min(pause * 2, kLongestPause);
    if (!sleep_for(pause)) {
      if (gates_) {
        gates_->remove();
      }
      return;
    }
    set_state(GuestState::Starting, "the sensor is started again");
  }
}

bool VmGuard::start_sensor() {
  auto started = start_process();
  if (!started) {
    log::error(name_ + ": no sensor: " + started.error().message);
    return false;
  }
  auto sensor = std::make_shared<launch::SensorProcess>(std::move(*started));
  lost_ = 0; // it counts from nothing
  {
    const std::lock_guard lock(mutex_);
    if (ending_) {
      return false;
    }
    sensor_ = sensor;
    counters_ = {};
    counted_.reset();
  }
  responses_.forget_hashes();
  hands_->take_sensor(sensor);
  if (const auto given = intel_.begin(sensor); !given) {
    log::error(name_ + ": the sensor has no intelligence: " + given.error().message);
    return false; // a guard that matches nothing would look like one
  }
  if (const auto given = policy_.begin(*sensor); !given) {
    log::error(name_ + ": the sensor has no policy: " + given.error().message);
    return false; // likewise
  }
  // Memory before packets: the first packet seen can then be attributed.
  attach_memory();
  const auto kept = shared_.config.evidence.packets / std::max<std::size_t>(vm_.taps.size(), 1);
  for (const auto &tap : vm_.taps) {
    if (const auto opened = launch::open_tap(*sensor, vm_, tap, kept); !opened) {
      log::error(name_ + ": tap " + tap.name + " is not heard: " + opened.error().message);
      return false;
    }
  }
  return true;
}

Result<launch::SensorProcess> VmGuard::start_process() {
  if (!prevents_) {
    TapGates::remove_left(vm_);
    return launch::SensorProcess::start(launch::SensorRole::Guard);
  }
  auto holding = start_holding();
  if (holding) {
    detector_.replace_policy(shared_.config.policy);
    set_prevention(to_string(shared_.config.hold.settings));
    return holding;
  }
  if (gates_) { // or nobody would ever judge what it holds
    gates_->remove();
    gates_.reset();
  }
  detector_.replace_policy(policy_of(shared_.config, false));
  set_prevention("packets cannot be held, so what is listed is blocked once it was seen: " +
                 holding.error().message);
  return launch::SensorProcess::start(launch::SensorRole::Guard);
}

Result<launch::SensorProcess> VmGuard::start_holding() {
  if (!gates_ || !gates_->are_attached()) {
    gates_.reset();
    auto gates = TapGates::open(vm_, shared_.config.hold.settings);
    if (!gates) {
      return tl::unexpected(gates.error());
    }
    gates_ = std::move(*gates);
  }
  return gates_
      ->for_judge(detect::hold_rules(shared_.config.policy, shared_.responses.always_allowed))
      .and_then([](TapGates::ForJudge judge) {
        return launch::start_holding(std::move(judge.request), judge.descriptors);
      });
}

void VmGuard::set_prevention(std::string words) {
  const std::lock_guard lock(mutex_);
  if (prevention_ != words) {
    prevention_ = std::move(words);
    tell("mode prevent: " + prevention_, gates_.has_value());
  }
}

void VmGuard::tell_unjudged(const std::vector<NamedCount> &gates) {
  const auto passed = value_of(gates, "gate_dead_open") + value_of(gates, "gate_full_open");
  const auto dropped = value_of(gates, "gate_dead_closed") + value_of(gates, "gate_full_closed");
  if (passed + dropped > unjudged_) {
    log::warning(name_ + ": packets of new flows that nobody judged: " + std::to_string(passed) +
                 " passed, " + std::to_string(dropped) + " were dropped");
  }
  unjudged_ = passed + dropped;
}

void VmGuard::attach_memory() {
  auto attached = launch::attach_live(*sensor_, vm_, launch::SymbolFiles(shared_.config.symbols));
  if (!attached) {
    set_state(GuestState::Unreadable, attached.error().message);
    return;
  }
  const auto &seen = attached->state;
  writable_ = std::move(attached->writable);
  hands_->take_memory(writable_);
  {
    const std::lock_guard lock(mutex_);
    identity_.kernel = seen.kernel.release;
  }
  set_state(seen.state,
            seen.state == GuestState::Ready ? seen.kernel.release.printable() : seen.reason);
  if (seen.state == GuestState::Ready) {
    shared_.found_vm(vm_.key());
  }
}

void VmGuard::take_events() {
  AttachRetry retry(monotonic_now());
  auto next_count = monotonic_now() + kFirstCount;
  while (true) {
    auto event = sensor_->next_event(kEventWait);
    if (!event) {
      if (sleep_for(milliseconds(0))) { // false: it was ended by us
        log::warning(name_ + ": " + event.error().message);
      }
      return;
    }
    if (*event) {
      take(std::move(**event));
    }
    policy_.follow(*sensor_);
    const auto now = monotonic_now();
    if (const auto doubt = doubt_.take(now)) {
      settle(*doubt);
      retry.took(now, monotonic_now());
    }
    GuestState state{};
    {
      const std::lock_guard lock(mutex_);
      if (ending_) {
        return;
      }
      state = state_;
    }
    if (monotonic_now() >= next_count) {
      next_count = monotonic_now() + kCountInterval;
      tell_losses();
    }
    if (const auto began = monotonic_now(); retry.is_due(state, began)) {
      attach_memory();
      retry.took(began, monotonic_now());
    }
  }
}

void VmGuard::take(Report event) {
  if (auto *match = std::get_if<MatchSeen>(&event)) {
    judge(std::move(*match));
  } else if (const auto *ended = std::get_if<MatchedFlowEnded>(&event)) {
    record(*ended);
  } else if (const auto *state = std::get_if<GuestStateSeen>(&event)) {
    set_state(state->state, state->reason);
  } else if (const auto *raised = std::get_if<DoubtRaised>(&event)) {
    doubt_.raise(raised->doubt);
  } else if (auto *hashed = std::get_if<ExecutableHashed>(&event)) {
    responses_.take_hash(*hashed);
  } else if (const auto *sandbox = std::get_if<SandboxSeen>(&event)) {
    const std::lock_guard lock(mutex_);
    for (const auto &gap : sandbox->gaps) {
      tell("weaker sandbox: " + gap, false);
    }
  }
}

void VmGuard::settle(Doubt doubt) {
  if (doubt == Doubt::MemoryOutside) {
    const auto memory = hypervisor::open_memory(vm_);
    if (!memory || memory->writable == writable_) {
      return; // it has the memory that it had: a guest can want any address
    }
    return attach_memory();
  }
  auto cpus = hypervisor::look_at_cpus(vm_);
  if (cpus && !cpus->state.running) {
    return; // paused by somebody; the sensor asks again
  }
  const auto same =
      launch::check_kernel(*sensor_, cpus ? std::move(cpus->registers) : std::string());
  if (!same || *same) {
    return; // idle
  }
  set_state(GuestState::Booting, "the kernel that ran has ended");
  attach_memory();
}

void VmGuard::tell_losses() {
  auto counters = launch::get_counters(*sensor_);
  if (!counters) {
    return; // the next event tells what became of the sensor
  }
  if (gates_) {
    auto gates = gates_->counts();
    tell_unjudged(gates);
    std::move(gates.begin(), gates.end(), std::back_inserter(counters->other));
  }
  {
    const std::lock_guard lock(mutex_);
    counters_ = *counters;
    counted_ = wall_now();
  }
  std::uint64_t lost = 0;
  for (const auto &count : counters->dropped) {
    lost += count.name == "lost_in_kernel" || count.name == "bad_record" ? count.value : 0;
  }
  for (const auto &count : counters->other) {
    lost += count.name == "reports_lost" || count.name == "matches_unreported" ? count.value : 0;
  }
  if (lost > lost_) {
    log::warning(name_ + ": packets or reports were lost: " + std::to_string(lost) +
                 " since the sensor started, of " + std::to_string(counters->seen) + " packets");
  }
  lost_ = lost;
  std::string dropped;
  for (const auto &count : counters->dropped) {
    dropped += " " + count.name + "=" + std::to_string(count.value);
  }
  log::debug(name_ + ": packets seen=" + std::to_string(counters->seen) +
             " processed=" + std::to_string(counters->processed) + dropped);
}

void VmGuard::judge(MatchSeen match) {
  VmIdentity identity;
  {
    const std::lock_guard lock(mutex_);
    identity = identity_;
  }
  if (auto finding = detector_.judge(std::move(match), identity)) {
    responses_.answer(std::move(*finding));
  }
}

void VmGuard::record(const MatchedFlowEnded &ended) {
  VmIdentity identity;
  {
    const std::lock_guard lock(mutex_);
    identity = identity_;
  }
  if (const auto written = shared_.eve.write(store::eve_flow(ended, identity)); !written) {
    log::error(name_ + ": counts of an alert not written: " + written.error().message);
  }
}

} // namespace outguard::daemon
