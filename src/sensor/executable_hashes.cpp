#include "sensor/executable_hashes.h"

namespace outguard::sensor {

namespace {

constexpr std::size_t kMostWaiting = 64;
constexpr std::size_t kMostKnown = 256;

} // namespace

void ExecutableHashes::tell(ExecutableHashed answer, const FileHash &hash) {
  answer.hash = hash;
  outlet_.publish(answer);
}

void ExecutableHashes::want(const MatchSeen &match) {
  const auto &named = match.attribution.processes;
  if (named.empty() || named.front().kernel_thread) {
    return;
  }
  const ExecutableHashed answer{match.flow.flow_id, named.front().identity, {}};
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr || queue_.size() == kMostWaiting) {
    return tell(answer, {});
  }
  const auto file = guest->executable(answer.process);
  if (!file) {
    return tell(answer, {});
  }
  if (const auto known = known_.find(*file); known != known_.end()) {
    return tell(answer, known->second);
  }
  queue_.push_back({answer, guest->hasher(*file, kMostBytes)});
}

void ExecutableHashes::work() {
  guest::LinuxGuest *guest = view_.guest();
  if (queue_.empty()) {
    return;
  }
  Job &job = queue_.front();
  if (guest == nullptr) {
    tell(job.answer, {});
  } else if (known_.contains(job.hasher.file())) { // another process's, hashed meanwhile
    tell(job.answer, known_.at(job.hasher.file()));
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
    tell(job.answer, hash);
  }
  queue_.pop_front();
}

void ExecutableHashes::forget() {
  for (const Job &job : queue_) {
    tell(job.answer, {});
  }
  queue_.clear();
  known_.clear();
}

} // namespace outguard::sensor
