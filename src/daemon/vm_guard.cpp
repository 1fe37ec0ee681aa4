#include "daemon/vm_guard.h"

#include <algorithm>

#include "base/log.h"
#include "facts/guest_text.h"
#include "hypervisor/network_namespace.h"
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
constexpr std::size_t kMostWaiting = 256;     ///< findings, for their responses; and for hashes
constexpr std::size_t kMostHashes = 256;      ///< of executables, the latest
constexpr milliseconds kHashWait{500}; ///< an alert waits for a hash, after its responses are done

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
      intel_(shared.intel, name_), identity_(vm_.identity()) {
  responding_ = std::thread([this] { respond_to_findings(); });
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
  if (sensor) {
    sensor->stop(); // whoever waits for an answer has it now
  }
}

VmGuard::~VmGuard() {
  end();
  watching_.join();
  responding_.join();
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
  {
    const std::lock_guard lock(mutex_);
    if (ending_) {
      return false;
    }
    sensor_ = sensor;
    hashes_.clear(); // flows are numbered anew
    counters_ = {};
    counted_.reset();
  }
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
  {
    const std::lock_guard lock(mutex_);
    writable_ = std::move(attached->writable);
    identity_.kernel = seen.kernel.release;
  }
  set_state(seen.state,
            seen.state == GuestState::Ready ? seen.kernel.release.printable() : seen.reason);
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
    {
      const std::lock_guard lock(mutex_);
      if (hashes_.size() == kMostHashes) {
        hashes_.pop_front();
      }
      hashes_.push_back(*hashed);
    }
    changed_.notify_all();
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
  auto finding = detector_.judge(std::move(match), identity);
  if (!finding) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (findings_.size() < kMostWaiting) {
      findings_.push_back(std::move(*finding));
      finding.reset();
    }
  }
  changed_.notify_all();
  if (finding) { // the alert is never lost, only its responses
    record(*finding, unanswered(*finding, "too many alerts of this VM wait for their responses"));
  }
}

std::vector<ResponseDone> VmGuard::unanswered(const Finding &finding, const std::string &why) {
  std::vector<ResponseDone> responses;
  for (const auto &wanted : finding.wanted) {
    const bool skipped = !wanted.withheld.empty();
    responses.push_back({wanted.action, skipped ? ResponseStatus::Skipped : ResponseStatus::Failed,
                         skipped ? wanted.withheld : why, 0});
  }
  return responses;
}

// ---- Responding
// --------------------------------------------------------------------------------------

void VmGuard::respond_to_findings() {
  while (true) {
    record_answered(answered_.size() >= kMostWaiting);
    std::unique_lock lock(mutex_);
    const auto wakes = [this] {
      return ending_ || !findings_.empty() ||
             (!answered_.empty() && hash_for(answered_.front().finding) != nullptr);
    };
    if (answered_.empty()) {
      changed_.wait(lock, wakes);
    } else {
      changed_.wait_for(lock, answered_.front().due - monotonic_now(), wakes);
    }
    const bool late = ending_;
    if (findings_.empty()) {
      if (!late) {
        continue;
      }
      lock.unlock();
      return record_answered(true);
    }
    auto finding = std::move(findings_.front());
    findings_.pop_front();
    lock.unlock();
    auto done = late ? unanswered(finding, "the guard of this VM is ending") : respond(finding);
    answered_.push_back({std::move(finding), std::move(done), monotonic_now() + kHashWait});
  }
}

const FileHash *VmGuard::hash_for(const Finding &finding) const {
  const auto &match = finding.match;
  if (match.attribution.processes.empty()) {
    return nullptr;
  }
  const auto found = std::find_if(hashes_.begin(), hashes_.end(), [&](const auto &hashed) {
    return hashed.flow_id == match.flow.flow_id &&
           hashed.process == match.attribution.processes.front().identity;
  });
  return found == hashes_.end() ? nullptr : &found->hash;
}

void VmGuard::record_answered(bool all) {
  while (!answered_.empty()) {
    auto &[finding, done, due] = answered_.front();
    const auto &named = finding.match.attribution.processes;
    if (!named.empty() && !named.front().kernel_thread) {
      const std::lock_guard lock(mutex_);
      if (const FileHash *hash = hash_for(finding)) {
        finding.executable = *hash;
      } else if (!all && monotonic_now() < due) {
        return;
      }
    }
    record(finding, done);
    answered_.pop_front();
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

std::vector<ResponseDone> VmGuard::respond(const Finding &finding) {
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
  return responder_.respond(finding, hands);
}

void VmGuard::record(const Finding &finding, const std::vector<ResponseDone> &done) {
  if (const auto written = shared_.eve.write(store::eve_alert(finding, done)); !written) {
    log::error(name_ + ": alert not written: " + written.error().message);
  }
  shared_.show(finding, done);
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
