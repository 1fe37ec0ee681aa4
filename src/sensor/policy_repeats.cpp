#include "sensor/policy_repeats.h"

#include <algorithm>

namespace outguard::sensor {

namespace {

bool is_power_of_ten(std::uint64_t count) {
  while (count >= 10 && count % 10 == 0) {
    count /= 10;
  }
  return count == 1;
}

} // namespace

PolicyRepeats::Entry &PolicyRepeats::find_or_make(const Key &key) {
  if (const auto known = entries_.find(key); known != entries_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, known->second.use);
    return known->second;
  }
  if (entries_.size() >= kMost) {
    entries_.erase(by_use_.back());
    by_use_.pop_back();
  }
  by_use_.push_front(key);
  Entry &entry = entries_[key];
  entry.use = by_use_.begin();
  return entry;
}

PolicyRepeats::Told PolicyRepeats::add(const Key &key, const IpAddress &remote,
                                       std::int64_t now_ns) {
  Entry &entry = find_or_make(key);
  if (entry.flows != 0 && now_ns - entry.last_ns > kQuiet) {
    entry.flows = 0;
    entry.remotes.clear();
  }
  entry.last_ns = std::max(entry.last_ns, now_ns);
  const bool is_known =
      std::find(entry.remotes.begin(), entry.remotes.end(), remote) != entry.remotes.end();
  const bool has_room = entry.remotes.size() < (key.answered ? kMostRemotes : 1);
  if (!is_known && has_room) {
    entry.remotes.push_back(remote);
  }
  const std::uint64_t flows = ++entry.flows;
  return {flows, (is_known || !has_room) && !is_power_of_ten(flows)};
}

} // namespace outguard::sensor
