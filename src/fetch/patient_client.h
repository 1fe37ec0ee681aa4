#pragma once
// An HttpClient made patient: follows a few redirects, tries again after faults that pass, waits as
// the server wishes, and gives the key to the feed's own origin only. Counts what it did into the
// answer. One thread; what it is given must outlive it.

#include <functional>
#include <random>

#include "fetch/http_client.h"

namespace outguard::fetch {

inline constexpr unsigned kMaxRedirects = 5;

/// How long before attempt `failed + 1`: 1 s, 2 s, 4 s ... at most a minute, less up to a half of
/// it by `jitter` (0 to 1), so that many hosts do not come back together; never before the server's
/// own wish.
[[nodiscard]] std::chrono::milliseconds
pause_after(unsigned failed, double jitter, std::optional<std::chrono::seconds> retry_after);

class PatientClient {
public:
  /// True when it slept; tests do not.
  using Sleep = std::function<void(std::chrono::milliseconds)>;

  PatientClient(HttpClient &client, const FetchFeed &request, FeedFetched &answer, Sleep sleep);

  /// The answer to a GET; its body is in the sink. A failed one is final.
  [[nodiscard]] HttpReply get(const HttpRequest &request, HttpSink &sink);

  [[nodiscard]] MonotonicTime deadline() const { return deadline_; }

private:
  [[nodiscard]] HttpReply follow(const HttpRequest &request, HttpSink &sink);
  [[nodiscard]] std::optional<HttpReply> refuse(const HttpUrl &from, const std::string &to) const;

  HttpClient *client_;
  const FetchFeed *request_;
  FeedFetched *answer_;
  Sleep sleep_;
  MonotonicTime deadline_;
  std::string key_origin_;
  std::minstd_rand random_{std::random_device{}()};
};

} // namespace outguard::fetch
