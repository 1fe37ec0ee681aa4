#include "guest/packets/stage_clock.h"

#include <algorithm>
#include <numeric>

namespace outguard::guest {

const char *to_string(Stage stage) {
  switch (stage) {
  case Stage::Packets:
    return "decode+flows";
  case Stage::Protocols:
    return "protocols";
  case Stage::Match:
    return "match";
  case Stage::Read:
    return "read";
  case Stage::Attribution:
    return "attribution";
  case Stage::Report:
    return "report";
  case Stage::Other:
    break;
  }
  return "other";
}

void StageClock::stop() {
  const auto now = std::chrono::steady_clock::now();
  auto &times = is_sampled_ && is_part(current_) ? batch_ : whole_;
  times[static_cast<std::size_t>(current_)] +=
      static_cast<std::uint64_t>(std::chrono::nanoseconds(now - since_).count());
  since_ = now;
}

/// One sample stands for kEvery batches: one in which the machine did something else does not.
void StageClock::settle() {
  const auto sum = [](const Times &times) {
    return std::accumulate(times.begin(), times.begin() + kParts, std::uint64_t{0});
  };
  const auto mean = (sum(sampled_) + whole_[0]) / std::max<std::uint64_t>(batches_, 1);
  if (batches_ > kAlways && sum(batch_) > kUnusual * mean) {
    whole_[0] += sum(batch_);
  } else {
    for (std::size_t i = 0; i < kParts; ++i) {
      sampled_[i] += batch_[i];
    }
  }
  batch_ = {};
}

StageClock::Times StageClock::spent() {
  stop();
  settle();
  Times times = sampled_;
  std::uint64_t parts = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    parts += sampled_[i];
  }
  const std::uint64_t rest = whole_[static_cast<std::size_t>(Stage::Packets)];
  std::uint64_t shared_out = 0;
  for (std::size_t i = 1; i < kParts && parts != 0; ++i) {
    const auto share = static_cast<std::uint64_t>(static_cast<long double>(rest) *
                                                  static_cast<long double>(sampled_[i]) /
                                                  static_cast<long double>(parts));
    times[i] += share;
    shared_out += share;
  }
  times[0] += rest - shared_out;
  for (std::size_t i = kParts; i < kStages; ++i) {
    times[i] += whole_[i];
  }
  return times;
}

} // namespace outguard::guest
