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
  Reported &reported = flows_[key];
  reported.flow = &flow;
  auto &told = reported.told;
  const auto hash = hash_of(hit);
  const auto same = std::find_if(told.begin(), told.end(),
                                 [&](const Entry &candidate) { return candidate.is(hit, hash); });
  if (same != told.end()) {
    same->image = image_;
    same->indicator = indicator;
    count(same->count, now_ns);
    return Told::Repeat;
  }
  if (told.size() >= kMostTold || (!told.empty() && further_ >= kMostFurther)) {
    return Told::NoRoom;
  }
  further_ += told.empty() ? 0U : 1U;
  Entry entry{image_, indicator, hash, {hit.type, {}, 1, now_ns, now_ns}};
  const std::size_t size = hit.value.raw().size();
  if (value_bytes_ + size <= kMostValueBytes && reported.told_bytes + size <= kMostToldBytes) {
    entry.count.value = hit.value;
    reported.told_bytes += size;
    value_bytes_ += size;
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

void ReportedFlows::note_observed(Key key, ObservableKind kind, std::string_view text) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) {
    return;
  }
  Reported &reported = found->second;
  const auto is_same = [&](const ObservedText &seen) {
    return seen.kind == kind && seen.value.raw() == text;
  };
  if (std::any_of(reported.observed.begin(), reported.observed.end(), is_same)) {
    return;
  }
  const std::size_t cost = sizeof(ObservedText) + text.size();
  if (reported.observed.size() >= kMostObserved ||
      reported.observed_bytes + text.size() > kMostObservedBytes ||
      seen_bytes_ + cost > kMostSeenBytes) {
    reported.cut = true;
    return;
  }
  reported.observed.push_back({kind, GuestText(std::string(text))});
  reported.observed_bytes += text.size();
  seen_bytes_ += cost;
}

ReportedFlows::Closed ReportedFlows::close(Key key) {
  Closed closed;
  const auto found = flows_.find(key);
  if (found == flows_.end()) {
    return closed;
  }
  Reported &reported = found->second;
  for (Entry &entry : reported.told) {
    value_bytes_ -= entry.count.value.raw().size();
    closed.matches.push_back(std::move(entry.count));
  }
  further_ -= reported.told.size() - 1;
  seen_bytes_ -= reported.observed.size() * sizeof(ObservedText) + reported.observed_bytes;
  closed.observed = std::move(reported.observed);
  closed.cut = reported.cut;
  flows_.erase(found);
  return closed;
}

} // namespace outguard::sensor
