#include "sensor/unhashed_flows.h"

#include <functional>
#include <string_view>

namespace outguard::sensor {

UnhashedFlows::Key UnhashedFlows::key_of(const ProcessSeen &process) {
  const std::string_view path = process.exe ? process.exe->raw() : std::string_view();
  return {process.identity, std::hash<std::string_view>{}(path)};
}

bool UnhashedFlows::wants(const ProcessSeen &process, MonotonicTime now) const {
  if (process.kernel_thread) {
    return false;
  }
  const auto known = known_.find(key_of(process));
  return known == known_.end() || now >= known->second;
}

bool UnhashedFlows::add(MatchSeen match) {
  if (flows_.size() >= kMostFlows) {
    return false;
  }
  flows_.push_back(std::move(match));
  return true;
}

std::optional<MatchSeen> UnhashedFlows::take() {
  if (flows_.empty()) {
    return std::nullopt;
  }
  auto first = std::move(flows_.front());
  flows_.pop_front();
  return first;
}

void UnhashedFlows::settle(const ProcessSeen &process, FileVerdict verdict, MonotonicTime now) {
  if (verdict == FileVerdict::Listed) {
    known_.erase(key_of(process)); // each of its flows is told
    return;
  }
  if (known_.size() >= kMostKnown) {
    known_.clear();
  }
  known_[key_of(process)] = now + (verdict == FileVerdict::Unknown ? kTrustUnknown : kTrust);
}

} // namespace outguard::sensor
