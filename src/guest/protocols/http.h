#pragma once
// HTTP/1 request heads (RFC 9112): host, URL, user agent, and what a proxy is asked for. Lenient
// where servers are: bare LF, runs of blanks, any method in capitals. Everything else in a head is
// passed over. Pure: state is the caller's.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/ip_address.h"
#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

/// Where the look at an unfinished head stopped; reset with every new head.
struct HttpHeadState {
  std::uint32_t scanned = 0; ///< offset of the first line not looked at yet
  std::uint64_t body = 0;    ///< Content-Length
  bool host_seen = false;
  bool transfer_encoding = false; ///< overrides any length: look at all that follows
};

enum class HttpLook : std::uint8_t { NotHttp, NeedMore, HeadComplete };

struct HttpResult {
  HttpLook look = HttpLook::NotHttp;
  std::size_t head_length = 0; ///< HeadComplete: up to and with the empty line
  std::uint64_t body_length = 0;
};

/// Can `bytes` be the start of a request? False only when it certainly cannot.
[[nodiscard]] bool may_be_http_request(std::span<const std::uint8_t> bytes);

/// `bytes` starts at a request line. Observes each Host as soon as its line is complete, and the
/// URL with it: "http://host[:port]/target", host lower-case, port only when it is not the scheme's
/// own; the target is as it came. A host in the request line (CONNECT, absolute form) is a
/// ProxyTarget. Without any host the URL carries `receiver`. Texts live in `scratch`.
[[nodiscard]] HttpResult look_at_http_request(HttpHeadState &state,
                                              std::span<const std::uint8_t> bytes,
                                              const Endpoint &receiver, std::string &scratch,
                                              ObservableSink &sink);

/// The server's side, from "HTTP/" on: of no interest, but where a proxy opens a tunnel or another
/// protocol is switched to. Consumed: up to there.
[[nodiscard]] Look look_at_http_answer(std::span<const std::uint8_t> bytes);

} // namespace outguard::guest
