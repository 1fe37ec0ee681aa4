#include "launch/feed_source.h"

#include <cstdlib>

#include "launch/key_file.h"
#include "launch/state_file.h"

namespace outguard::launch {

namespace {

constexpr std::size_t kMaxCaBytes = std::size_t{128} << 10; ///< it travels in one message

Result<std::vector<std::string>> keys_of(const FeedSource &source) {
  if (!source.key_file.empty()) {
    return read_key_file(source.key_file, source.kind);
  }
  if (source.key_variable.empty()) {
    return std::vector<std::string>();
  }
  const char *value = std::getenv(source.key_variable.c_str());
  if (value == nullptr) {
    return fail(ErrorCode::NotFound, "no such variable: " + source.key_variable);
  }
  return parse_key(value, source.kind, source.key_variable);
}

} // namespace

Result<FetchFeed> request_of(const FeedSource &source) {
  FetchFeed request;
  request.url = source.url;
  request.kind = source.kind;
  request.proxy = source.proxy;
  if (!source.ca_file.empty()) {
    auto pem = read_small_file(source.ca_file, kMaxCaBytes);
    if (!pem) {
      return tl::unexpected(pem.error());
    }
    request.ca_pem = std::move(*pem);
  }
  return keys_of(source).map([&](std::vector<std::string> keys) {
    request.key_headers = std::move(keys);
    return std::move(request);
  });
}

Result<RefreshedFeed> refresh(FetchFeed request, FeedCache &cache, const std::stop_token &stop) {
  RefreshedFeed refreshed;
  Fd previous;
  if (auto copy = cache.find(request.url, request.kind)) {
    request.mark = copy->mark;
    refreshed.path = copy->path;
    previous = std::move(copy->body);
  }
  auto fetched = fetch_feed(request, previous, stop);
  if (!fetched) {
    return tl::unexpected(fetched.error());
  }
  refreshed.fetched = std::move(*fetched);
  if (refreshed.fetched.answer.status == FetchStatus::Failed) {
    return refreshed;
  }
  return cache.keep(request, refreshed.fetched).map([&](std::string path) {
    refreshed.path = std::move(path);
    return std::move(refreshed);
  });
}

} // namespace outguard::launch
