#include "daemon/vm_guard.h"

#include <algorithm>

#include "base/log.h"
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

} // namespace

VmGuard::VmGuard(hypervisor::VmFound vm, const Shared &shared)
    : vm_(std::move(vm)), name_(GuestText(vm_.name.empty() ? vm_.key() : vm_.name).printable()),
      shared_(shared), detector_(shared.config.policy), responses_(vm_, name_, shared),
      hands_(std::make_shared<VmHands>(vm_, shared.guard_policy)), intel_(shared.intel, name_),
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
  const std::lock_guard lock(mutex_);
  status.state = to_string(state_);
  status.reason = state_ == GuestState::Ready ? "" : reason_;
  status.since = state_since_;
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
    responses_.take_sensor(nullptr);
    hands_->take_sensor(nullptr);
    const bool lived = monotonic_now() - started > kGoodLife;
    pause = lived ? kFirstPause : std::min(pause * 2, kLongestPause);
    if (!sleep_for(pause)) {
      return;
    }
    set_state(GuestState::Starting, "the sensor is started again");
  }
}

bool VmGuard::start_sensor() {
  auto started = launch::SensorProcess::start(launch::SensorRole::Guard);
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
  responses_.take_sensor(sensor);
  hands_->take_sensor(sensor);
  if (const auto given = intel_.begin(sensor); !given) {
    log::error(name_ + ": the sensor has no intelligence: " + given.error().message);
    return false; // a guard that matches nothing would look like one
  }
  // Memory before packets: the first packet seen can then be attributed.
  attach_memory();
  for (const auto &tap : vm_.taps) {
    if (const auto opened = launch::open_tap(*sensor, vm_, tap); !opened) {
      log::error(name_ + ": tap " + tap.name + " is not heard: " + opened.error().message);
      return false;
    }
  }
  return true;
}

void VmGuard::attach_memory() {
  auto attached = launch::attach_live(*sensor_, vm_, launch::SymbolFiles(shared_.config.symbols));
  if (!attached) {
    set_state(GuestState::Unreadable, attached.error().message);
    return;
  }
  const auto &seen = attached->state;
  writable_ = std::move(attached->writable);
  responses_.take_memory(writable_);
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
  const auto counters = launch::get_counters(*sensor_);
  if (!counters) {
    return; // the next event tells what became of the sensor
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
