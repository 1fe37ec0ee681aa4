#include "launch/feed_schedule.h"

#include <algorithm>

namespace outguard::launch {

namespace {

using std::chrono::nanoseconds;

nanoseconds shortened(nanoseconds pause, double jitter) {
  return nanoseconds(static_cast<std::int64_t>(static_cast<double>(pause.count()) *
                                               (1.0 - std::clamp(jitter, 0.0, 1.0) / 10)));
}

} // namespace

std::size_t FeedSchedule::add(std::chrono::seconds interval) {
  feeds_.push_back({std::max(interval, kLeastInterval), MonotonicTime::min(), 0});
  return feeds_.size() - 1;
}

std::optional<std::size_t> FeedSchedule::due(MonotonicTime now) const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < feeds_.size(); ++i) {
    if (feeds_[i].at <= now && (!found || feeds_[i].at < feeds_[*found].at)) {
      found = i;
    }
  }
  return found;
}

std::optional<MonotonicTime> FeedSchedule::next() const {
  std::optional<MonotonicTime> first;
  for (const auto &feed : feeds_) {
    first = first ? std::min(*first, feed.at) : feed.at;
  }
  return first;
}

void FeedSchedule::succeeded(std::size_t feed, MonotonicTime now, double jitter) {
  auto &one = feeds_.at(feed);
  one.failures = 0;
  one.at = now + shortened(one.interval, jitter);
}

void FeedSchedule::failed(std::size_t feed, MonotonicTime now, double jitter, nanoseconds wished) {
  auto &one = feeds_.at(feed);
  one.failures = std::min(one.failures + 1, 1000U);
  const nanoseconds backed_off = kFirstRetry * (1LL << std::min(one.failures - 1, 20U));
  const nanoseconds own = shortened(std::min<nanoseconds>(backed_off, one.interval), jitter);
  one.at = now + std::max(own, std::min<nanoseconds>(wished, kMostWished));
}

} // namespace outguard::launch
