#include "daemon/response_thread.h"

#include <algorithm>

#include "base/log.h"
#include "daemon/sensor_link.h"
#include "daemon/vm_guard.h"
#include "hypervisor/network_namespace.h"
#include "hypervisor/vm_control.h"
#include "launch/attach.h"
#include "store/json_lines.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostWaiting = 256; ///< findings, for their responses; and for hashes
constexpr std::size_t kMostHashes = 256;  ///< of executables, the latest
constexpr const char *kEnding = "the guard of this VM is ending";
constexpr std::chrono::milliseconds kHashWait{500}; ///< for a hash, after the responses are done

} // namespace

ResponseThread::ResponseThread(const hypervisor::VmFound &vm, const std::string &name,
                               const Shared &shared)
    : vm_(vm), name_(name), shared_(shared), responder_(shared.guard, shared.guard_lock),
      thread_([this] { respond_to_findings(); }) {}

ResponseThread::~ResponseThread() {
  end();
  thread_.join();
  for (const auto &finding : findings_) { // judged while the thread was ending
    record(finding, unanswered(finding, kEnding));
  }
}

void ResponseThread::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

void ResponseThread::take_sensor(std::shared_ptr<launch::SensorProcess> sensor) {
  const std::lock_guard lock(mutex_);
  sensor_ = std::move(sensor);
  if (sensor_) {
    hashes_.clear(); // flows are numbered anew
  }
}

void ResponseThread::take_memory(MemoryLayout writable) {
  const std::lock_guard lock(mutex_);
  writable_ = std::move(writable);
}

void ResponseThread::take_hash(const ExecutableHashed &hashed) {
  {
    const std::lock_guard lock(mutex_);
    if (hashes_.size() == kMostHashes) {
      hashes_.pop_front();
    }
    hashes_.push_back(hashed);
  }
  changed_.notify_all();
}

void ResponseThread::answer(Finding finding) {
  {
    const std::lock_guard lock(mutex_);
    if (findings_.size() < kMostWaiting) {
      findings_.push_back(std::move(finding));
      changed_.notify_all();
      return;
    }
  }
  // The alert is never lost, only its responses.
  record(finding, unanswered(finding, "too many alerts of this VM wait for their responses"));
}

std::vector<ResponseDone> ResponseThread::unanswered(const Finding &finding,
                                                     const std::string &why) {
  std::vector<ResponseDone> responses;
  for (const auto &wanted : finding.wanted) {
    const bool skipped = !wanted.withheld.empty();
    responses.push_back({wanted.action, skipped ? ResponseStatus::Skipped : ResponseStatus::Failed,
                         skipped ? wanted.withheld : why, 0});
  }
  return responses;
}

void ResponseThread::respond_to_findings() {
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
    auto done = late ? unanswered(finding, kEnding) : respond(finding);
    answered_.push_back({std::move(finding), std::move(done), monotonic_now() + kHashWait});
  }
}

const FileHash *ResponseThread::hash_for(const Finding &finding) const {
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

void ResponseThread::record_answered(bool all) {
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

respond::NetworkActions *ResponseThread::network_for(const std::string &tap) {
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

std::vector<ResponseDone> ResponseThread::respond(const Finding &finding) {
  std::shared_ptr<launch::SensorProcess> sensor;
  MemoryLayout writable;
  {
    const std::lock_guard lock(mutex_);
    sensor = sensor_;
    writable = writable_;
  }
  SensorLink link(std::move(sensor));
  respond::VmHands hands{link, network_for(finding.match.flow.interface),
                         [&]() -> Result<std::unique_ptr<hypervisor::VmControl>> {
                           return hypervisor::QemuControl::open(vm_, writable);
                         }};
  return responder_.respond(finding, hands);
}

void ResponseThread::record(const Finding &finding, const std::vector<ResponseDone> &done) {
  if (const auto written = shared_.eve.write(store::eve_alert(finding, done)); !written) {
    log::error(name_ + ": alert not written: " + written.error().message);
  }
  shared_.show(finding, done);
}

} // namespace outguard::daemon
