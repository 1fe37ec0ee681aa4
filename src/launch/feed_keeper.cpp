#include "launch/feed_keeper.h"

#include <random>

namespace outguard::launch {

FeedKeeper::FeedKeeper(std::vector<FeedSource> sources, std::string folder, Note note)
    : sources_(std::move(sources)), cache_(std::move(folder)), note_(std::move(note)) {
  for (const auto &source : sources_) {
    schedule_.add(source.interval);
  }
  thread_ = std::jthread([this](const std::stop_token &stop) { run(stop); });
}

std::vector<std::string> FeedKeeper::copies(const std::vector<FeedSource> &sources,
                                            const std::string &folder) {
  const FeedCache cache(folder);
  std::vector<std::string> paths;
  for (const auto &source : sources) {
    if (auto copy = cache.find(source.url, source.kind)) {
      paths.push_back(std::move(copy->path));
    }
  }
  return paths;
}

void FeedKeeper::run(const std::stop_token &stop) {
  while (!stop.stop_requested()) {
    if (const auto feed = schedule_.due(monotonic_now())) {
      fetch(*feed, stop);
      continue;
    }
    const auto next = schedule_.next();
    if (!next) {
      return; // no feeds
    }
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, stop, *next, [] { return false; });
  }
}

void FeedKeeper::fetch(std::size_t feed, const std::stop_token &stop) {
  const auto &source = sources_[feed];
  const auto outcome = request_of(source).and_then(
      [&](FetchFeed request) { return refresh(std::move(request), cache_, stop); });
  if (stop.stop_requested()) {
    return;
  }
  static thread_local std::minstd_rand random{std::random_device{}()};
  const double jitter = std::uniform_real_distribution<>(0, 1)(random);
  const bool failed = !outcome || outcome->fetched.answer.status == FetchStatus::Failed;
  if (failed) {
    const std::uint64_t wished = outcome ? outcome->fetched.answer.retry_after_ns : 0;
    const auto capped = std::min<std::uint64_t>(wished, 86'400'000'000'000);
    schedule_.failed(feed, monotonic_now(), jitter, std::chrono::nanoseconds(capped));
  } else {
    schedule_.succeeded(feed, monotonic_now(), jitter);
  }
  note_(source, outcome, schedule_.next_of(feed));
}

} // namespace outguard::launch
