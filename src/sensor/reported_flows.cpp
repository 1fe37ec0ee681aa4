#include "sensor/reported_flows.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace outguard::sensor {

namespace {

void count(MatchCount &match, std::int64_t now_ns) {
  ++match.count;
  match.last_ns = std::max(match.last_ns, now_ns);
}

std::size_t hash_of(const IndicatorHit &hit) {
  return std::hash<std::string_view>{}(hit.value.raw());
}

} // namespace

bool ReportedFlows::count_repeat(Key key, std::uint32_t indicator, std::int64_t now_ns) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) {
    return false;
  }
  auto &told = found->second.told;
  const auto entry = std::find_if(told.begin(), told.end(), [&](const Entry &candidate) {
    return candidate.indicator == indicator && candidate.image == image_;
  });
  if (entry == told.end()) {
    return false;
  }
  count(entry->count, now_ns);
  return true;
}

ReportedFlows::Told ReportedFlows::add(Key key, const guest::Flow &flow, std::uint32_t indicator,
                                       const IndicatorHit &hit, std::int64_t now_ns) {
  auto &[known, told] = flows_[key];
  known = &flow;
  const auto hash = hash_of(hit);
  const auto same = std::find_if(told.begin(), told.end(),
                                 [&](const Entry &candidate) { return candidate.is(hit, hash); });
  if (same != told.end()) {
    same->image = image_;
    same->indicator = indicator;
    count(same->count, now_ns);
    return Told::Repeat;
  }
  if (told.size() >= kMostTold) {
    return Told::NoRoom;
  }
  Entry entry{image_, indicator, hash, {hit.type, {}, 1, now_ns, now_ns}};
  if (value_bytes_ + hit.value.raw().size() <= kMostValueBytes) {
    entry.count.value = hit.value;
    value_bytes_ += hit.value.raw().size();
  }
  told.push_back(std::move(entry));
  return Told::First;
}

bool ReportedFlows::has(Key key, const IndicatorHit &hit) const {
  const auto found = flows_.find(key);
  return found != flows_.end() &&
         std::any_of(found->second.told.begin(), found->second.told.end(),
                     [&](const Entry &entry) { return entry.is(hit, hash_of(hit)); });
}

const guest::Flow *ReportedFlows::find(Key key) const {
  const auto found = flows_.find(key);
  return found == flows_.end() ? nullptr : found->second.flow;
}

std::vector<MatchCount> ReportedFlows::close(Key key) {
  std::vector<MatchCount> counts;
  const auto found = flows_.find(key);
  if (found == flows_.end()) {
    return counts;
  }
  for (Entry &entry : found->second.told) {
    value_bytes_ -= entry.count.value.raw().size();
    counts.push_back(std::move(entry.count));
  }
  flows_.erase(found);
  return counts;
}

} // namespace outguard::sensor
