#include "sensor/executable_hashes.h"

#include <algorithm>

namespace outguard::sensor {

namespace {

constexpr std::size_t kMostWaiting = 64;
constexpr std::size_t kMostKnown = 256;

} // namespace

/// Of a flow that nothing else was reported of, a hash is told only if it makes an alert.
void ExecutableHashes::tell(Cause cause, const MatchSeen &match, const FileHash &hash) {
  const ExecutableHashed hashed{match.flow.flow_id, match.attribution.processes.front().identity,
                                hash};
  if (cause == Cause::Alert) {
    outlet_.publish(hashed);
  }
  if (sink_.on_executable_hashed(match, hash) == FileVerdict::Listed && cause == Cause::Flow) {
    outlet_.publish(hashed);
  }
}

void ExecutableHashes::want(const MatchSeen &match) {
  const auto &named = match.attribution.processes;
  if (named.empty() || named.front().kernel_thread) {
    return;
  }
  const bool is_of_hash = match.basis == MatchBasis::Indicator &&
                          match.indicator.observed == ObservableKind::ExecutableHash;
  if (is_of_hash) {
    return; // told already: it came of it
  }
  begin(Cause::Alert, match);
}

void ExecutableHashes::begin(Cause cause, const MatchSeen &match) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr || queue_.size() == kMostWaiting) {
    return tell(cause, match, {});
  }
  const auto file = guest->executable(match.attribution.processes.front().identity);
  if (!file) {
    return tell(cause, match, {});
  }
  if (const auto known = known_.find(*file); known != known_.end()) {
    return tell(cause, match, known->second);
  }
  queue_.push_back({cause, match, guest->hasher(*file, kMostBytes)});
}

void ExecutableHashes::work() {
  if (!queue_.empty()) {
    return step();
  }
  if (const auto match = sink_.take_unhashed()) {
    begin(Cause::Flow, *match);
  }
}

void ExecutableHashes::step() {
  guest::LinuxGuest *guest = view_.guest();
  Job &job = queue_.front();
  FileHash hash;
  if (guest != nullptr) {
    if (const auto known = known_.find(job.hasher.file()); known != known_.end()) {
      hash = known->second; // another process's, hashed meanwhile
    } else if (guest->step(job.hasher)) {
      return;
    } else {
      hash = job.hasher.result();
    }
  }
  if (hash.status == FileHash::Status::Complete) {
    if (known_.size() >= kMostKnown) {
      known_.clear();
    }
    known_[job.hasher.file()] = hash;
  }
  tell(job.cause, job.match, hash);
  queue_.pop_front();
}

void ExecutableHashes::drain(std::chrono::nanoseconds &budget) {
  if (!has_work()) {
    return;
  }
  const auto end = monotonic_now() + budget;
  while (has_work() && monotonic_now() < end) {
    work();
  }
  budget = std::max(std::chrono::nanoseconds(end - monotonic_now()), std::chrono::nanoseconds(0));
  give_up();
  while (const auto match = sink_.take_unhashed()) {
    tell(Cause::Flow, *match, {});
  }
}

void ExecutableHashes::give_up() {
  for (const Job &job : queue_) {
    tell(job.cause, job.match, {});
  }
  queue_.clear();
}

void ExecutableHashes::forget() {
  give_up();
  known_.clear();
}

} // namespace outguard::sensor
