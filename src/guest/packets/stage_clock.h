#pragma once
// Where the time of a replay goes. Reading files, attribution, reports and what is between packets
// are always timed. The parts of the packet path are told apart in the first kAlways batches and
// then in one of kEvery, and the time of the other batches is shared out as theirs was: a clock
// read for every packet would be what is measured. The sum is exact. One thread.

#include <array>
#include <chrono>
#include <cstdint>

namespace outguard::guest {

enum class Stage : std::uint8_t { Packets, Protocols, Match, Read, Attribution, Report, Other };
inline constexpr std::size_t kStages = static_cast<std::size_t>(Stage::Other) + 1;
[[nodiscard]] const char *to_string(Stage stage);

class StageClock {
public:
  using Times = std::array<std::uint64_t, kStages>; ///< nanoseconds

  /// Before each batch of packets.
  void next_batch() {
    settle();
    ++batches_;
    // By chance, so that no period of the traffic is met again and again.
    is_sampled_ = batches_ <= kAlways || (batches_ * kGolden >> 32) % kEvery == 0;
  }
  /// Time counts for `stage` from now on. Returns what it counted for.
  Stage enter(Stage stage) {
    const Stage before = current_;
    if (is_sampled_ || !is_part(stage) || !is_part(before)) {
      stop();
      current_ = stage;
    }
    return before;
  }
  [[nodiscard]] Times spent();

private:
  static constexpr std::uint64_t kAlways = 16, kEvery = 256;
  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  static constexpr std::uint64_t kUnusual = 4; ///< times the mean: it was interrupted
  static constexpr std::size_t kParts = 3;

  static bool is_part(Stage stage) { return static_cast<std::size_t>(stage) < kParts; }
  void stop();
  void settle();

  Times batch_{};   ///< the one at hand, if it is sampled; parts only
  Times sampled_{}; ///< parts only
  Times whole_{};   ///< of parts in batches that are not sampled: all in Packets
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  Stage current_ = Stage::Other;
  std::uint64_t batches_ = 0;
  bool is_sampled_ = false;
};

/// Time within its scope counts for a stage. Without a clock (not a replay) it does nothing.
class StageScope {
public:
  StageScope(StageClock *clock, Stage stage)
      : clock_(clock), before_(clock == nullptr ? stage : clock->enter(stage)) {}
  ~StageScope() {
    if (clock_ != nullptr) {
      clock_->enter(before_);
    }
  }
  StageScope(const StageScope &) = delete;
  StageScope &operator=(const StageScope &) = delete;

private:
  StageClock *clock_;
  Stage before_;
};

} // namespace outguard::guest
