#include "daemon/vm_guard.h"

#include <algorithm>

#include "base/log.h"
#include "facts/guest_text.h"
#include "hypervisor/network_namespace.h"
#include "hypervisor/vm_control.h"
#include "store/json_lines.h"

namespace outguard::daemon {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kEventWait{200};  ///< how late an end or a retry may be noticed
constexpr milliseconds kFirstRetry{250}; ///< for a guest that boots, a QMP socket that is busy
constexpr milliseconds kLongestRetry{5000};
constexpr std::chrono::seconds kGoodLife{30}; ///< a sensor that lived this long starts anew at once
constexpr std::size_t kMostWaiting = 1024;    ///< findings whose responses have not begun

} // namespace

/// A response uses the sensor that is there when it asks; if that one died meanwhile, its answer is
/// an error and nothing is claimed.
class VmGuard::Link : public respond::SensorLink {
public:
  explicit Link(std::shared_ptr<launch::SensorProcess> sensor) : sensor_(std::move(sensor)) {}

  Result<WritePlan> plan_kill(const ProcessIdentity &process) override {
    return sensor_ ? launch::plan_kill(*sensor_, process) : no_sensor();
  }
  Result<ProcessFate> fate(const ProcessIdentity &process) override {
    return sensor_ ? launch::check_fate(*sensor_, process) : no_sensor();
  }

  TcpPosition tcp_position(const FlowSeen &flow) override {
    return sensor_ ? launch::locate_flow(*sensor_, flow).value_or(flow.tcp) : flow.tcp;
  }

private:
  static tl::unexpected<Error> no_sensor() {
    return fail(ErrorCode::Unreachable, "the VM has no sensor at the moment");
  }
  std::shared_ptr<launch::SensorProcess> sensor_;
};

VmGuard::VmGuard(hypervisor::VmFound vm, const Shared &shared)
    : vm_(std::move(vm)), name_(GuestText(vm_.name.empty() ? vm_.key() : vm_.name).printable()),
      shared_(shared), detector_(shared.config.policy), responder_(shared.guard, shared.guard_lock),
      identity_(vm_.identity()) {
  responding_ = std::thread([this] { respond_to_findings(); });
  watching_ = std::thread([this] { watch(); });
}

VmGuard::~VmGuard() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  watching_.join();
  responding_.join();
}

bool VmGuard::sleep_for(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return ending_; });
}

void VmGuard::set_state(GuestState state, const std::string &reason) {
  const std::lock_guard lock(mutex_);
  if (state_ != state) {
    state_ = state;
    const auto text = name_ + ": " + to_string(state) + (reason.empty() ? "" : ": " + reason);
    state == GuestState::Ready ? log::info(text) : log::warning(text);
  }
}

// ---- Watching
// ----------------------------------------------------------------------------------------

void VmGuard::watch() {
  auto pause = kFirstRetry;
  do {
    const auto started = monotonic_now();
    if (start_sensor()) {
      take_events();
      const std::lock_guard lock(mutex_);
      sensor_.reset();
    }
    const bool lived = monotonic_now() - started > kGoodLife;
    pause = lived ? kFirstRetry : std::min(pause * 2, kLongestRetry);
  } while (sleep_for(pause));
}

bool VmGuard::start_sensor() {
  auto started = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!started) {
    log::error(name_ + ": no sensor: " + started.error().message);
    return false;
  }
  auto sensor = std::make_shared<launch::SensorProcess>(std::move(*started));
  if (shared_.intel) {
    if (const auto used = launch::use_intel(*sensor, shared_.intel); !used) {
      log::error(name_ + ": no intelligence: " + used.error().message);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    sensor_ = std::move(sensor);
  }
  // Memory before packets: the first packet seen can then be attributed.
  attach_memory();
  for (const auto &tap : vm_.taps) {
    if (const auto opened = launch::open_tap(*sensor_, vm_, tap); !opened) {
      log::warning(name_ + ": tap " + tap.name + " is not heard: " + opened.error().message);
    }
  }
  return true;
}

void VmGuard::attach_memory() {
  auto attached = launch::attach_live(*sensor_, vm_);
  if (!attached) {
    set_state(GuestState::Unreadable, attached.error().message);
    return;
  }
  const auto &seen = attached->state;
  {
    const std::lock_guard lock(mutex_);
    writable_ = std::move(attached->writable);
    identity_.kernel = seen.kernel.release;
  }
  set_state(seen.state,
            seen.state == GuestState::Ready ? seen.kernel.release.printable() : seen.reason);
}

void VmGuard::take_events() {
  auto retry = monotonic_now() + kFirstRetry;
  auto pause = kFirstRetry;
  while (true) {
    auto event = sensor_->next_event(kEventWait);
    if (!event) {
      log::warning(name_ + ": " + event.error().message + "; it is started again");
      return;
    }
    if (*event) {
      if (auto *match = std::get_if<MatchSeen>(&**event)) {
        judge(std::move(*match));
      } else if (const auto *state = std::get_if<GuestStateSeen>(&**event)) {
        set_state(state->state, state->reason);
      }
    }
    bool ready = false;
    {
      const std::lock_guard lock(mutex_);
      if (ending_) {
        return;
      }
      ready = state_ == GuestState::Ready;
    }
    if (!ready && monotonic_now() >= retry) {
      attach_memory();
      pause = std::min(pause * 2, kLongestRetry);
      retry = monotonic_now() + pause;
    }
  }
}

void VmGuard::judge(MatchSeen match) {
  VmIdentity identity;
  {
    const std::lock_guard lock(mutex_);
    identity = identity_;
  }
  auto finding = detector_.judge(std::move(match), identity);
  if (!finding) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (findings_.size() >= kMostWaiting) {
      ++findings_dropped_;
      log::error(name_ + ": more alerts than can be answered; responses dropped so far: " +
                 std::to_string(findings_dropped_));
      return;
    }
    findings_.push_back(std::move(*finding));
  }
  changed_.notify_all();
}

// ---- Responding
// --------------------------------------------------------------------------------------

void VmGuard::respond_to_findings() {
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ending_ || !findings_.empty(); });
    if (findings_.empty()) {
      return;
    }
    auto finding = std::move(findings_.front());
    findings_.pop_front();
    lock.unlock();
    respond(finding);
  }
}

respond::NetworkActions *VmGuard::network_for(const std::string &tap) {
  if (const auto known = taps_.find(tap); known != taps_.end()) {
    return known->second.get();
  }
  const auto found = std::find_if(vm_.taps.begin(), vm_.taps.end(),
                                  [&](const auto &candidate) { return candidate.name == tap; });
  if (found == vm_.taps.end()) {
    return nullptr;
  }
  auto netns = hypervisor::open_tap_namespace(vm_, *found);
  if (!netns) {
    log::warning(name_ + ": tap " + tap + " cannot be acted on: " + netns.error().message);
    return nullptr;
  }
  auto actions = respond::TapActions::open(*netns, tap);
  if (!actions) {
    log::warning(name_ + ": tap " + tap + " cannot be acted on: " + actions.error().message);
    return nullptr;
  }
  return taps_.emplace(tap, std::move(*actions)).first->second.get();
}

void VmGuard::respond(const Finding &finding) {
  std::shared_ptr<launch::SensorProcess> sensor;
  MemoryLayout writable;
  {
    const std::lock_guard lock(mutex_);
    sensor = sensor_;
    writable = writable_;
  }
  Link link(std::move(sensor));
  respond::VmHands hands{link, network_for(finding.match.flow.interface),
                         [&]() -> Result<std::unique_ptr<hypervisor::VmControl>> {
                           return hypervisor::QemuControl::open(vm_, writable);
                         }};
  const auto done = responder_.respond(finding, hands);
  if (shared_.eve != nullptr) {
    if (const auto written = shared_.eve->write(store::eve_alert(finding, done)); !written) {
      log::error(name_ + ": alert not written: " + written.error().message);
    }
  }
  shared_.show(finding, done);
}

} // namespace outguard::daemon
