#include "guest/protocols/http.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "guest/protocols/host_name.h"
#include "guest/protocols/http_observe.h"
#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kMaxMethod = 24; ///< "UPDATEREDIRECTREF" is the longest registered one

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_method_character(char c) {
  return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

struct RequestLine {
  std::string_view method;
  std::string_view target;
};

/// "METHOD target HTTP/x"; blanks within the target belong to it, as servers take them.
std::optional<RequestLine> parse_request_line(std::string_view line) {
  line = trimmed(line);
  const auto version = line.find_last_of(" \t");
  const auto blank = line.find_first_of(" \t");
  if (version == std::string_view::npos || version <= blank ||
      !line.substr(version + 1).starts_with("HTTP/")) {
    return std::nullopt;
  }
  return RequestLine{line.substr(0, blank), trimmed(line.substr(blank, version - blank))};
}

/// A target in absolute form, in its parts.
struct AbsoluteTarget {
  std::string_view scheme;
  std::string_view authority;
  std::string_view rest; ///< from the path on; may be empty
};

std::optional<AbsoluteTarget> parse_absolute(std::string_view target) {
  const auto colon = target.find("://");
  if (colon == std::string_view::npos || colon == 0 || colon > 8 || target.front() == '/') {
    return std::nullopt;
  }
  const auto behind = target.substr(colon + 3);
  const auto end = std::min(behind.find_first_of("/?#"), behind.size());
  auto authority = behind.substr(0, end);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  return AbsoluteTarget{target.substr(0, colon), authority, behind.substr(end)};
}

class HeadReader {
public:
  HeadReader(HttpHeadState &state, std::string_view bytes, const Endpoint &receiver,
             std::string &scratch, ObservableSink &sink)
      : state_(state), bytes_(bytes), receiver_(receiver), scratch_(scratch), sink_(sink) {}

  HttpResult read() {
    while (const auto line = next_line()) {
      if (const auto content = trimmed(*line); !request_) {
        if (content.empty() && next_ <= kLeadingEmpty) {
          continue; // RFC 9112, 2.2: empty lines before a request are passed over
        }
        request_ = parse_request_line(content);
        if (!request_) {
          return {HttpLook::NotHttp};
        }
        if (state_.scanned >= next_) { // all up to there was looked at in an earlier call
          next_ = state_.scanned;
        } else {
          request_line_only();
        }
      } else if (content.empty()) {
        return complete();
      } else {
        header(content);
      }
    }
    if (request_) {
      state_.scanned = static_cast<std::uint32_t>(next_);
    }
    return {HttpLook::NeedMore};
  }

private:
  static constexpr std::size_t kLeadingEmpty = 4;

  /// Up to the next line feed; none when the line is not complete yet.
  std::optional<std::string_view> next_line() {
    const auto end = bytes_.find('\n', next_);
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    const auto line = bytes_.substr(next_, end - next_);
    next_ = end + 1;
    return line;
  }

  void request_line_only() {
    if (const auto absolute = parse_absolute(request_->target)) {
      const auto path = absolute->rest.empty() ? std::string_view("/") : absolute->rest;
      observe_http_host(ObservableKind::ProxyTarget, absolute->scheme, absolute->authority, path,
                        scratch_, sink_);
      state_.host_seen = true;
    } else if (request_->method == "CONNECT") {
      observe_http_host(ObservableKind::ProxyTarget, "http", request_->target, {}, scratch_, sink_);
      state_.host_seen = true;
    }
  }

  void header(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || sink_.is_full()) {
      return;
    }
    const auto name = trimmed(line.substr(0, colon));
    const auto value = trimmed(line.substr(colon + 1));
    if (equals_ignoring_case(name, "host") && !value.empty()) {
      state_.host_seen = true;
      observe_http_host(ObservableKind::HttpHost, "http", value, path_for_host(), scratch_, sink_);
    } else if (equals_ignoring_case(name, "user-agent")) {
      observe_http_text(ObservableKind::HttpUserAgent, value, scratch_, sink_);
    } else if (equals_ignoring_case(name, "content-length")) {
      std::uint64_t length = 0;
      if (std::from_chars(value.data(), value.data() + value.size(), length).ec == std::errc{}) {
        state_.body = length;
      }
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
      state_.transfer_encoding = true;
    }
  }

  /// Origin form and "*" make a URL with the Host; the other forms carry their own host.
  [[nodiscard]] std::string_view path_for_host() const {
    const bool own_host = request_->method == "CONNECT" || parse_absolute(request_->target);
    return own_host || request_->target == "*" ? std::string_view{} : request_->target;
  }

  HttpResult complete() {
    if (!state_.host_seen) {
      const bool is_v6 = receiver_.address.family == IpFamily::V6;
      const std::string address = receiver_.address.to_string();
      const std::string host = is_v6 ? "[" + address + "]" : address;
      observe_http_host(ObservableKind::HttpHost, "http",
                        host + ':' + std::to_string(receiver_.port), path_for_host(), scratch_,
                        sink_);
    }
    observe_http_text(ObservableKind::HttpMethod, request_->method, scratch_, sink_);
    const bool tunnel = request_->method == "CONNECT"; // what follows is another protocol
    const bool no_length = tunnel || state_.transfer_encoding;
    return {HttpLook::HeadComplete, next_, no_length ? 0 : state_.body};
  }

  HttpHeadState &state_;
  std::string_view bytes_;
  const Endpoint &receiver_;
  std::string &scratch_;
  ObservableSink &sink_;
  std::optional<RequestLine> request_;
  std::size_t next_ = 0; ///< offset of the line to be read
};

constexpr std::size_t kMaxStatusLine = 128; ///< longer ones open no tunnel

/// "HTTP/1.1 101 ..." and what proxies answer to CONNECT: "HTTP/1.0 200 Connection established".
bool opens_tunnel(std::string_view status_line) {
  const auto status = status_line.find(' ');
  if (status == std::string_view::npos) {
    return false;
  }
  const auto rest = status_line.substr(status + 1);
  return rest.starts_with("101") ||
         (rest.starts_with("200") && rest.find("stablished") != std::string_view::npos);
}

} // namespace

bool may_be_http_request(std::span<const std::uint8_t> bytes) {
  auto text = as_text(bytes.first(std::min<std::size_t>(bytes.size(), kMaxMethod + 4)));
  while (!text.empty() && (text.front() == '\r' || text.front() == '\n')) {
    text.remove_prefix(1);
  }
  std::size_t length = 0;
  while (length < text.size() && is_method_character(text[length])) {
    ++length;
  }
  return length == text.size() ? length <= kMaxMethod
                               : length >= 3 && length <= kMaxMethod && is_blank(text[length]);
}

Look look_at_http_answer(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kMaxHead = 2048;
  const auto text = as_text(bytes.first(std::min(bytes.size(), kMaxHead)));
  const auto line_end = text.find('\n');
  if (line_end == std::string_view::npos) {
    return text.size() < kMaxStatusLine ? kNeedMore : kDone;
  }
  if (!opens_tunnel(text.substr(0, line_end))) {
    return kDone;
  }
  for (const std::string_view end : {"\n\r\n", "\n\n"}) {
    if (const auto found = text.find(end); found != std::string_view::npos) {
      return consumed(found + end.size());
    }
  }
  return bytes.size() < kMaxHead ? kNeedMore : kDone;
}

HttpResult look_at_http_request(HttpHeadState &state, std::span<const std::uint8_t> bytes,
                                const Endpoint &receiver, std::string &scratch,
                                ObservableSink &sink) {
  return HeadReader(state, as_text(bytes), receiver, scratch, sink).read();
}

} // namespace outguard::guest
