#include "sensor/executable_hashes.h"

namespace outguard::sensor {

namespace {

constexpr std::size_t kMostWaiting = 64;
constexpr std::size_t kMostKnown = 256;

} // namespace

void ExecutableHashes::tell(const MatchSeen &match, const FileHash &hash) {
  outlet_.publish(
      ExecutableHashed{match.flow.flow_id, match.attribution.processes.front().identity, hash});
  sink_.on_executable_hashed(match, hash);
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
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr || queue_.size() == kMostWaiting) {
    return tell(match, {});
  }
  const auto file = guest->executable(named.front().identity);
  if (!file) {
    return tell(match, {});
  }
  if (const auto known = known_.find(*file); known != known_.end()) {
    return tell(match, known->second);
  }
  queue_.push_back({match, guest->hasher(*file, kMostBytes)});
}

void ExecutableHashes::work() {
  guest::LinuxGuest *guest = view_.guest();
  if (queue_.empty()) {
    return;
  }
  Job &job = queue_.front();
  if (guest == nullptr) {
    tell(job.match, {});
  } else if (known_.contains(job.hasher.file())) { // another process's, hashed meanwhile
    tell(job.match, known_.at(job.hasher.file()));
  } else if (guest->step(job.hasher)) {
    return;
  } else {
    const FileHash &hash = job.hasher.result();
    if (hash.status == FileHash::Status::Complete) {
      if (known_.size() == kMostKnown) {
        known_.clear();
      }
      known_[job.hasher.file()] = hash;
    }
    tell(job.match, hash);
  }
  queue_.pop_front();
}

void ExecutableHashes::forget() {
  for (const Job &job : queue_) {
    tell(job.match, {});
  }
  queue_.clear();
  known_.clear();
}

} // namespace outguard::sensor
