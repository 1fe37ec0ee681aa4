#include "daemon/action_workers.h"

#include <algorithm>
#include <system_error>
#include <vector>

namespace outguard::daemon {

namespace {

using Jobs = std::array<std::deque<ActionJob>, 3>;
constexpr std::size_t kActs = 1;

std::size_t place_of(ActionJob::Kind kind) {
  switch (kind) {
  case ActionJob::Kind::Undo:
    return 0;
  case ActionJob::Kind::Check:
    return 2;
  default:
    return kActs;
  }
}

bool is_empty(const Jobs &jobs) {
  return std::all_of(jobs.begin(), jobs.end(), [](const auto &one) { return one.empty(); });
}

ActionJob take_first(Jobs &jobs) {
  auto &first =
      *std::find_if(jobs.begin(), jobs.end(), [](const auto &one) { return !one.empty(); });
  auto job = std::move(first.front());
  first.pop_front();
  return job;
}

} // namespace

ActionWorkers::ActionWorkers(Run run, std::chrono::milliseconds idle)
    : run_(std::move(run)), idle_(idle) {}

ActionWorkers::~ActionWorkers() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const auto &[lane, worker] : workers_) {
      worker->changed.notify_all();
    }
  }
  for (const auto &[lane, worker] : workers_) { // nobody adds any more
    worker->thread.join();
  }
}

bool ActionWorkers::has_room(const std::string &lane) const {
  const std::lock_guard lock(mutex_);
  const auto found = workers_.find(lane);
  return found == workers_.end() || found->second->jobs[kActs].size() < kMostWaiting;
}

bool ActionWorkers::add(const std::string &lane, ActionJob job) {
  tidy();
  const std::lock_guard lock(mutex_);
  auto &worker = workers_[lane];
  if (!worker || worker->over) {
    if (worker) {
      worker->thread.join(); // it is past its last look at the jobs
    }
    worker = std::make_unique<Worker>();
    try {
      worker->thread = std::thread([this, raw = worker.get()] { work(*raw); });
    } catch (const std::system_error &) {
      workers_.erase(lane);
      return false;
    }
  }
  worker->jobs[place_of(job.kind)].push_back(std::move(job));
  worker->changed.notify_all();
  return true;
}

void ActionWorkers::tidy() {
  std::vector<std::unique_ptr<Worker>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = workers_.begin(); at != workers_.end();) {
      if (at->second->over) {
        ended.push_back(std::move(at->second));
        at = workers_.erase(at);
      } else {
        ++at;
      }
    }
  }
  for (const auto &worker : ended) {
    worker->thread.join();
  }
}

std::size_t ActionWorkers::threads() const {
  const std::lock_guard lock(mutex_);
  return workers_.size();
}

void ActionWorkers::work(Worker &worker) {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const auto wakes = [&] { return ending_ || !is_empty(worker.jobs); };
    if (!worker.changed.wait_for(lock, idle_, wakes)) {
      break;
    }
    if (ending_) {
      break;
    }
    const auto job = take_first(worker.jobs);
    lock.unlock();
    run_(job);
    lock.lock();
  }
  worker.over = true;
}

} // namespace outguard::daemon
