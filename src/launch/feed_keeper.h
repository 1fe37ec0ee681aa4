#pragma once
// Keeps the last good copies of all configured feeds up to date, on a thread of its own, one feed
// at a time. Who owns it compiles intelligence anew when it says that a copy has changed.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "launch/feed_schedule.h"
#include "launch/feed_source.h"

namespace outguard::launch {

class FeedKeeper {
public:
  /// Called on the keeper's thread after every fetch, with the time of the next. An error or a
  /// Failed answer leaves the copy.
  using Note =
      std::function<void(const FeedSource &, const Result<RefreshedFeed> &, MonotonicTime)>;

  FeedKeeper(std::vector<FeedSource> sources, std::string folder, Note note);
  /// Ends a fetch that runs, within a fraction of a second.
  ~FeedKeeper() = default;

  /// Of those feeds that there is a copy of, in their order: also such as an earlier run left.
  [[nodiscard]] static std::vector<std::string> copies(const std::vector<FeedSource> &sources,
                                                       const std::string &folder);

private:
  void run(const std::stop_token &stop);
  void fetch(std::size_t feed, const std::stop_token &stop);

  std::vector<FeedSource> sources_;
  FeedCache cache_;
  Note note_;
  FeedSchedule schedule_;
  std::mutex mutex_; ///< of `wake_` alone: nothing else is shared
  std::condition_variable_any wake_;
  std::jthread thread_; ///< last: ends before what it uses
};

} // namespace outguard::launch
