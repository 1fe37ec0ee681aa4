#include "sensor/beacon_score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace outguard::sensor {

namespace {

constexpr std::int64_t kMinute = 60'000'000'000;
/// cron forks at the first second of a minute; what it runs may take a moment to connect.
constexpr std::int64_t kAfterTheMinute = 2'500'000'000;
constexpr double kLeastSchedule = 55'000; ///< milliseconds; cron cannot do less than a minute

/// Where a spread is as good as none at all. An evenly spread jitter of 50 % has a deviation of
/// 0.25 and deciles 0.8 of the median apart; independent events (exponential) 0.69 and 3.2.
constexpr double kWorstDeviation = 0.5;
constexpr double kWorstDeciles = 2.0;
constexpr double kWorstSizeDeviation = 0.5;
constexpr double kInnocentLean = 0.15; ///< a contact that was missed, jitter that is uneven
constexpr double kWorstLean = 0.75;
constexpr double kIntervalShare = 0.7; ///< sizes tell less: tasks come and go

/// A few numbers in order.
class Sorted {
public:
  void add(double value) { values_[count_++] = value; }
  void sort() { std::sort(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(count_)); }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] double operator[](std::size_t i) const { return values_[i]; }
  /// Between the two nearest.
  [[nodiscard]] double quantile(double share) const {
    const double place = share * static_cast<double>(count_ - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, count_ - 1);
    return std::lerp(values_[below], values_[above], place - static_cast<double>(below));
  }
  [[nodiscard]] double mean() const {
    return std::accumulate(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(count_),
                           0.0) /
           static_cast<double>(count_);
  }
  /// Median distance from the median, in medians.
  [[nodiscard]] double deviation() const {
    const double middle = std::max(quantile(0.5), 1.0);
    Sorted distances;
    for (std::size_t i = 0; i < count_; ++i) {
      distances.add(std::abs(values_[i] - middle));
    }
    distances.sort();
    return distances.quantile(0.5) / middle;
  }

private:
  std::array<double, kMostIntervals + 1> values_{};
  std::size_t count_ = 0;
};

/// 1: all alike, 0: `worst` or more.
double regularity(double spread, double worst) {
  return 1.0 - std::min(spread / worst, 1.0);
}

std::uint16_t percent(double share) {
  return static_cast<std::uint16_t>(std::clamp(std::lround(share * 100), 0L, 65535L));
}

std::uint64_t whole(double value) {
  return static_cast<std::uint64_t>(std::max(0.0, std::min(value, 1e18)));
}

bool begins_a_minute(const Contact &contact) {
  return contact.start_ns >= 0 && contact.start_ns % kMinute < kAfterTheMinute;
}

} // namespace

BeaconScore score_contacts(std::span<const Contact> contacts) {
  contacts = contacts.last(std::min(contacts.size(), kMostIntervals + 1));
  BeaconScore result;
  if (contacts.size() < 2) {
    return result;
  }
  Sorted intervals;
  Sorted sizes;
  for (std::size_t i = 0; i < contacts.size(); ++i) {
    sizes.add(static_cast<double>(contacts[i].bytes));
    if (i > 0) {
      intervals.add(static_cast<double>(contacts[i].start_ns - contacts[i - 1].start_ns) / 1e6);
    }
  }
  intervals.sort();
  sizes.sort();
  const double middle = std::max(intervals.quantile(0.5), 1.0);
  const double deviation = intervals.deviation();
  const double deciles = (intervals.quantile(0.9) - intervals.quantile(0.1)) / middle;

  result.intervals = static_cast<std::uint16_t>(intervals.count());
  result.mean_interval_ms = whole(intervals.mean());
  result.median_interval_ms = whole(middle);
  result.jitter_percent = percent(2 * deviation);
  result.mean_bytes = whole(sizes.mean());
  result.size_jitter_percent = percent(2 * sizes.deviation());
  result.clock_aligned =
      middle >= kLeastSchedule && std::all_of(contacts.begin(), contacts.end(), begins_a_minute);
  if (intervals.count() >= kLeastIntervals) {
    // Between bursts there are gaps: few, and so long that the mean is far from the median.
    const double lean = std::max(0.0, std::abs(intervals.mean() - middle) / middle - kInnocentLean);
    const double in_time =
        regularity(lean, kWorstLean) *
        (regularity(deviation, kWorstDeviation) + regularity(deciles, kWorstDeciles)) / 2;
    const double in_size = regularity(sizes.deviation(), kWorstSizeDeviation);
    result.score = static_cast<std::uint8_t>(
        std::lround(100 * (kIntervalShare * in_time + (1 - kIntervalShare) * in_size)));
  }
  return result;
}

} // namespace outguard::sensor
