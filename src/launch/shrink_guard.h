#pragma once
// May a newly compiled set of intelligence replace the one in force? A feed that is suddenly empty,
// broken or far smaller is an accident more often than news, and must not take protection away in
// silence. Owned by whoever loads intelligence; one thread.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "facts/intel_report.h"

namespace outguard::launch {

inline constexpr unsigned kMostLostPercent = 50;

class ShrinkGuard {
public:
  /// A source that keeps less than 100 - `most_lost_percent` of its entries has shrunken.
  explicit ShrinkGuard(unsigned most_lost_percent = kMostLostPercent)
      : most_lost_percent_(most_lost_percent) {}

  struct Loss {
    std::string source;
    std::uint64_t before = 0, now = 0; ///< entries, accepted and duplicates
    std::string reason;                ///< "gone", "empty", "shrunken", or the feed's problem
    /// "feeds/a.txt: 120 of 1000 entries left (shrunken)".
    [[nodiscard]] std::string text() const;
  };
  struct Verdict {
    std::vector<Loss> losses;
    std::string problem; ///< of the set as a whole, e.g. that it could not be compiled
    [[nodiscard]] bool may_replace() const { return losses.empty() && problem.empty(); }
  };

  /// Of a set beside the one last accepted; the first set is judged by its `totals` alone. A source
  /// that gave nothing before has nothing to lose.
  [[nodiscard]] Verdict judge(std::span<const FeedReport> feeds, const IntelReport &totals) const;

  /// This set is in force now: because it may be, or because the user said so. What sources in
  /// `but` had before is not forgotten.
  void accept(std::span<const FeedReport> feeds, std::span<const Loss> but = {});

  using Entries = std::map<std::string, std::uint64_t>; ///< by source
  [[nodiscard]] const Entries &entries() const { return in_force_; }
  void restore(Entries entries) { in_force_ = std::move(entries); }

private:
  [[nodiscard]] bool is_shrunken(std::uint64_t before, std::uint64_t now) const;

  unsigned most_lost_percent_;
  Entries in_force_;
};

} // namespace outguard::launch
