#pragma once
// When which feed is to be fetched: at once, then by its interval; after a failure sooner, ever
// more rarely, and never before the server's own wish. Plain state: the caller brings time and
// chance. One thread.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace outguard::launch {

class FeedSchedule {
public:
  static constexpr std::chrono::seconds kLeastInterval{60};
  static constexpr std::chrono::seconds kFirstRetry{60};
  static constexpr std::chrono::hours kMostWished{24}; ///< a server does not silence itself longer

  /// Returns the feed's number, from 0 on.
  std::size_t add(std::chrono::seconds interval);

  /// The feed that has been due for longest; nullopt: none is. Until it is told what came of it, it
  /// is due again.
  [[nodiscard]] std::optional<std::size_t> due(MonotonicTime now) const;
  /// When the next is; nullopt: there are no feeds.
  [[nodiscard]] std::optional<MonotonicTime> next() const;
  [[nodiscard]] MonotonicTime next_of(std::size_t feed) const { return feeds_.at(feed).at; }

  /// `jitter`, 0 to 1, takes up to a tenth off, so that many hosts do not ask together.
  void succeeded(std::size_t feed, MonotonicTime now, double jitter);
  void failed(std::size_t feed, MonotonicTime now, double jitter, std::chrono::nanoseconds wished);
  [[nodiscard]] std::uint32_t failures(std::size_t feed) const { return feeds_.at(feed).failures; }

private:
  struct Feed {
    std::chrono::seconds interval;
    MonotonicTime at{};         ///< due from then on
    std::uint32_t failures = 0; ///< in a row
  };
  std::vector<Feed> feeds_;
};

} // namespace outguard::launch
