#include "launch/shrink_guard.h"

#include <algorithm>

namespace outguard::launch {

namespace {

ShrinkGuard::Entries entries_of(std::span<const FeedReport> feeds) {
  ShrinkGuard::Entries entries;
  for (const auto &feed : feeds) {
    entries[feed.name] += feed.accepted + feed.duplicates;
  }
  return entries;
}

} // namespace

std::string ShrinkGuard::Loss::text() const {
  return source + ": " + std::to_string(now) + " of " + std::to_string(before) + " entries left (" +
         reason + ")";
}

bool ShrinkGuard::is_shrunken(std::uint64_t before, std::uint64_t now) const {
  const auto least = 100 - std::min(most_lost_percent_, 100U);
  return now * 100 < before * least; // counts of entries: far below 2^57
}

ShrinkGuard::Verdict ShrinkGuard::judge(std::span<const FeedReport> feeds,
                                        const IntelReport &totals) const {
  Verdict verdict;
  verdict.problem = totals.problem;
  const auto entries = entries_of(feeds);
  for (const auto &known : in_force_) {
    const auto &source = known.first;
    const auto before = known.second;
    const auto found = entries.find(source);
    const auto now = found == entries.end() ? 0 : found->second;
    const auto feed = std::find_if(feeds.begin(), feeds.end(),
                                   [&](const FeedReport &one) { return one.name == source; });
    const bool broken = feed != feeds.end() && !feed->problem.empty();
    if (before == 0 || (!broken && now != 0 && !is_shrunken(before, now))) {
      continue;
    }
    const auto *const reason = found == entries.end() ? "gone" : now == 0 ? "empty" : "shrunken";
    verdict.losses.push_back({source, before, now, broken ? feed->problem : reason});
  }
  return verdict;
}

void ShrinkGuard::accept(std::span<const FeedReport> feeds, std::span<const Loss> but) {
  in_force_ = entries_of(feeds);
  for (const auto &loss : but) {
    in_force_[loss.source] = loss.before;
  }
}

} // namespace outguard::launch
