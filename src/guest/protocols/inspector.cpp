#include "guest/protocols/inspector.h"

#include <algorithm>

#include "guest/protocols/dns.h"
#include "guest/protocols/tls.h"

namespace outguard::guest {

namespace {

/// Looks at the start of segments that recognize nothing before a stream of an unknown protocol is
/// let go. More than one: STARTTLS, proxies and request bodies put a protocol behind another's
/// words.
constexpr std::uint16_t kMaxMisses = 16;
constexpr std::size_t kDnsPrefix = 2;
/// NetBIOS names travel in the shape of DNS messages (RFC 1002), and are no DNS names.
constexpr std::uint16_t kNetbiosNames = 137;
/// Questions stand at the start of a message; the rest need not be waited for.
constexpr std::size_t kDnsWanted = 512;

/// What one look at the bytes came to.
struct Look {
  enum class Outcome : std::uint8_t { NotMine, NeedMore, Consumed, Done };
  Outcome outcome = Outcome::NotMine;
  std::uint64_t length = 0; ///< Consumed: of the whole message, may reach beyond the bytes
};

Look look_at_tls_record(std::span<const std::uint8_t> bytes, std::string &scratch,
                        ObservableSink &sink) {
  const TlsResult result = look_at_tls(bytes, scratch, sink);
  switch (result.look) {
  case TlsLook::NotTls:
    return {};
  case TlsLook::NeedMore:
    return {Look::Outcome::NeedMore};
  case TlsLook::PassOver:
    return {Look::Outcome::Consumed, result.length};
  case TlsLook::Done:
    return {Look::Outcome::Done};
  }
  return {};
}

Look look_at_http(HttpHeadState &state, std::span<const std::uint8_t> bytes,
                  const Endpoint &receiver, std::string &scratch, ObservableSink &sink) {
  constexpr std::string_view kAnswer = "HTTP/";
  if (bytes.size() >= kAnswer.size() && std::equal(kAnswer.begin(), kAnswer.end(), bytes.begin())) {
    return {Look::Outcome::Done}; // the server's side
  }
  if (!may_be_http_request(bytes)) {
    return {};
  }
  const HttpResult result = look_at_http_request(state, bytes, receiver, scratch, sink);
  switch (result.look) {
  case HttpLook::NotHttp:
    return {};
  case HttpLook::NeedMore:
    return {Look::Outcome::NeedMore};
  case HttpLook::HeadComplete:
    break;
  }
  state = {};
  const std::uint64_t most = UINT64_MAX - result.head_length;
  return {Look::Outcome::Consumed, result.head_length + std::min(result.body_length, most)};
}

Look look_at_dns_over_tcp(std::span<const std::uint8_t> bytes, const Endpoint &receiver,
                          std::string &scratch, ObservableSink &sink) {
  if (bytes.size() < kDnsPrefix) {
    return {Look::Outcome::NeedMore};
  }
  const auto length = static_cast<std::size_t>(bytes[0] << 8 | bytes[1]);
  const auto message = bytes.subspan(kDnsPrefix);
  const bool own_port = is_dns_port(receiver.port);
  if (length < 17 || (!own_port && message.size() > length)) {
    return {};
  }
  if (message.size() < std::min(length, kDnsWanted)) {
    // Elsewhere than on its port a length says little: do not wait for what nothing promises.
    return own_port ? Look{Look::Outcome::NeedMore} : Look{};
  }
  const auto strictness = own_port ? DnsStrictness::OwnPort : DnsStrictness::AnyPort;
  const auto here = message.first(std::min(length, message.size()));
  if (look_at_dns(here, strictness, DnsNames::OfQueries, scratch, sink) == DnsLook::NotDns) {
    return {};
  }
  return {Look::Outcome::Consumed, kDnsPrefix + length};
}

} // namespace

StreamProgress Inspector::stream(StreamState &state, std::span<const std::uint8_t> bytes,
                                 const Endpoint &receiver, ObservableSink &sink) {
  std::size_t consumed = 0;
  while (consumed < bytes.size()) {
    const auto rest = bytes.subspan(consumed);
    AppProtocol protocol = AppProtocol::Tls;
    Look look = look_at_tls_record(rest, scratch_, sink);
    if (look.outcome == Look::Outcome::NotMine) {
      protocol = AppProtocol::Http;
      look = look_at_http(state.http, rest, receiver, scratch_, sink);
    }
    if (look.outcome == Look::Outcome::NotMine) {
      protocol = AppProtocol::Dns;
      look = look_at_dns_over_tcp(rest, receiver, scratch_, sink);
    }
    switch (look.outcome) {
    case Look::Outcome::NeedMore:
      return {consumed, 0, false};
    case Look::Outcome::Done:
      state.protocol = protocol;
      return {consumed, 0, true};
    case Look::Outcome::NotMine: // whatever this is, look again where a segment begins
      state.http = {};
      return {bytes.size(), 0, ++state.misses >= kMaxMisses && state.protocol == AppProtocol::None};
    case Look::Outcome::Consumed:
      break;
    }
    state.protocol = protocol;
    if (look.length > rest.size()) {
      return {bytes.size(), look.length - rest.size(), false};
    }
    consumed += static_cast<std::size_t>(look.length);
  }
  return {consumed, 0, false};
}

AppProtocol Inspector::datagram(std::span<const std::uint8_t> bytes, std::uint16_t source_port,
                                std::uint16_t destination_port, bool answers_wanted,
                                ObservableSink &sink) {
  const bool own_port = is_dns_port(source_port) || is_dns_port(destination_port);
  if (!own_port && (source_port == kNetbiosNames || destination_port == kNetbiosNames)) {
    return AppProtocol::None;
  }
  const auto look = look_at_dns(
      bytes, own_port ? DnsStrictness::OwnPort : DnsStrictness::AnyPort,
      answers_wanted ? DnsNames::OfQueriesAndAnswers : DnsNames::OfQueries, scratch_, sink);
  return look == DnsLook::NotDns ? AppProtocol::None : AppProtocol::Dns;
}

} // namespace outguard::guest
