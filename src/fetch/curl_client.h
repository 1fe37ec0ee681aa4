#pragma once
// The real HttpClient: libcurl, which stays behind this file. HTTP/1.1 over TLS 1.2 or later, http
// and https only, certificates always checked. Keeps its connection for the next exchange. One
// thread; libcurl has one of its own for names.

#include <memory>

#include "base/result.h"
#include "fetch/http_client.h"

namespace outguard::fetch {

/// Before the sandbox is entered: OpenSSL reads its configuration.
[[nodiscard]] Result<void> prepare_curl();

class CurlClient final : public HttpClient {
public:
  /// `request` must outlive it; its URL gives nothing here.
  [[nodiscard]] static Result<CurlClient> create(const FetchFeed &request);
  CurlClient(CurlClient &&other) noexcept;
  ~CurlClient() override;

  [[nodiscard]] HttpReply exchange(const HttpRequest &request, HttpSink &sink,
                                   MonotonicTime deadline) override;

private:
  struct Session;
  explicit CurlClient(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

} // namespace outguard::fetch
