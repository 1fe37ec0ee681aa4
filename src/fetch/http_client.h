#pragma once
// One HTTP exchange as the rest of this folder sees it; curl_client.h is the real one, tests bring
// their own. One thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "facts/feed_fetch.h"

namespace outguard::fetch {

struct HttpUrl {
  std::string scheme, host, port; ///< lower case; the port always there
  std::string directory;          ///< path up to its last slash, as it stands
  std::string path, query;        ///< query without its question mark
  bool has_user = false;

  [[nodiscard]] std::string origin() const { return scheme + "://" + host + ":" + port; }
  [[nodiscard]] bool is_loopback() const {
    return host == "127.0.0.1" || host == "[::1]" || host == "localhost";
  }
};
/// As libcurl takes it apart, so that what is checked is what is asked. nullopt: no http(s) URL.
[[nodiscard]] std::optional<HttpUrl> parse_http_url(const std::string &url);
/// For messages: without user, query and fragment, where keys stand at times; printable.
[[nodiscard]] std::string shown(const std::string &url);
/// For a query's value, RFC 3986, 2.3.
[[nodiscard]] std::string percent_encoded(std::string_view text);

/// Where a body goes. False stops the exchange; `problem()` then says why.
class HttpSink {
public:
  virtual ~HttpSink() = default;
  [[nodiscard]] virtual bool restart() = 0; ///< forget what came: another attempt begins
  [[nodiscard]] virtual bool take(std::string_view bytes) = 0;
  [[nodiscard]] virtual FetchProblem problem() const = 0;
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;
};

struct HttpReply {
  FetchProblem problem = FetchProblem::None;
  std::string reason; ///< in words, printable, when there is a problem
  std::uint32_t status = 0;
  std::string redirect_url; ///< not empty: a redirect, absolute
  std::string etag, last_modified, date_added_last;
  std::optional<std::chrono::seconds> retry_after;
  std::uint64_t wire_bytes = 0;

  [[nodiscard]] bool good() const { return problem == FetchProblem::None; }
  [[nodiscard]] static HttpReply failed(FetchProblem problem, std::string reason) {
    HttpReply reply;
    reply.problem = problem;
    reply.reason = std::move(reason);
    return reply;
  }
};

class HttpClient {
public:
  virtual ~HttpClient() = default;
  /// One request, one answer, no redirect followed. Only a 2xx body goes to the sink.
  [[nodiscard]] virtual HttpReply exchange(const HttpRequest &request, HttpSink &sink,
                                           MonotonicTime deadline) = 0;
};

} // namespace outguard::fetch
