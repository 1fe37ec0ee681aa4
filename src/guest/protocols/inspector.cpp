#include "guest/protocols/inspector.h"

#include <algorithm>

#include "guest/protocols/dns.h"
#include "guest/protocols/ftp.h"
#include "guest/protocols/ssh.h"
#include "guest/protocols/text_line.h"
#include "guest/protocols/tftp.h"
#include "guest/protocols/tls.h"

namespace outguard::guest {

namespace {

/// Looks at the start of segments that recognize nothing before a stream of an unknown protocol is
/// let go. More than one: STARTTLS, proxies and request bodies put a protocol behind another's
/// words.
constexpr std::uint16_t kMaxMisses = 16;
/// Lines of a server ("220 mail.example ready"), behind which TLS may begin. Sessions in use need
/// some ten.
constexpr std::uint16_t kMaxReplies = 512;
constexpr std::size_t kDnsPrefix = 2;
constexpr std::size_t kDnsHeaderBytes = 12;
constexpr std::size_t kDnsShortest = 17; ///< header, root, type, class
/// NetBIOS names travel in the shape of DNS messages (RFC 1002), and are no DNS names.
constexpr std::uint16_t kNetbiosNames = 137;
/// Of a message over TCP; the records of longer ones (zone transfers) are looked at up to here.
/// Below what a stream may hold (StreamConfig).
constexpr std::size_t kDnsWanted = std::size_t{12} * 1024;

Look look_at_tls_record(TlsState &state, std::span<const std::uint8_t> bytes,
                        const Endpoint &receiver, TlsScratch &scratch, ObservableSink &sink) {
  const TlsResult result = look_at_tls(state, bytes, receiver.port, scratch, sink);
  switch (result.look) {
  case TlsLook::NotTls:
    return {};
  case TlsLook::NeedMore:
    return {Look::Outcome::NeedMore};
  case TlsLook::Consumed:
    return {Look::Outcome::Consumed, result.length};
  case TlsLook::Done:
    return {Look::Outcome::Done};
  }
  return {};
}

Look look_at_http(HttpHeadState &state, std::span<const std::uint8_t> bytes,
                  const Endpoint &receiver, std::string &scratch, ObservableSink &sink) {
  constexpr std::string_view kAnswer = "HTTP/";
  if (as_text(bytes).starts_with(kAnswer)) {
    return look_at_http_answer(bytes);
  }
  if (!may_be_http_request(bytes)) {
    return kNotMine;
  }
  const HttpResult result = look_at_http_request(state, bytes, receiver, scratch, sink);
  switch (result.look) {
  case HttpLook::NotHttp:
    return kNotMine;
  case HttpLook::NeedMore:
    return kNeedMore;
  case HttpLook::HeadComplete:
    break;
  }
  state = {};
  const std::uint64_t most = UINT64_MAX - result.head_length;
  return consumed(result.head_length + std::min(result.body_length, most));
}

bool is_dns_stream(const StreamEnds &ends) {
  return is_dns_port(ends.receiver.port) || is_dns_port(ends.sender.port);
}

/// On DNS' own port a broken message hides none behind it: servers go on there.
Look pass_broken_dns(std::size_t end, std::span<const std::uint8_t> bytes, bool own_port,
                     ObservableSink &sink) {
  if (!own_port || end >= bytes.size()) {
    return kNotMine;
  }
  sink.spend(ObservableSink::kObservableCost);
  return consumed(end);
}

/// `protocol` becomes Dns with the first message that is DNS.
Look look_at_dns_over_tcp(std::span<const std::uint8_t> bytes, bool own_port, AppProtocol &protocol,
                          std::string &scratch, ObservableSink &sink) {
  if (bytes.size() < kDnsPrefix) {
    return own_port ? kNeedMore : kNotMine;
  }
  const auto length = static_cast<std::size_t>(bytes[0] << 8 | bytes[1]);
  const auto message = bytes.subspan(kDnsPrefix);
  if (length < kDnsShortest) {
    return pass_broken_dns(kDnsPrefix + length, bytes, own_port, sink);
  }
  // Elsewhere than on its port a length says little: what is waited for must promise something.
  if (!own_port &&
      (message.size() < kDnsHeaderBytes || message.size() > length || !may_be_dns(message))) {
    return kNotMine;
  }
  if (message.size() < std::min(length, kDnsWanted)) {
    return kNeedMore;
  }
  const auto strictness = own_port ? DnsStrictness::OwnPort : DnsStrictness::AnyPort;
  const auto here = message.first(std::min(length, message.size()));
  if (look_at_dns(here, strictness, DnsNames::OfQueries, scratch, sink) == DnsLook::NotDns) {
    return pass_broken_dns(kDnsPrefix + length, bytes, own_port, sink);
  }
  if (here.size() < length) {
    sink.pass_over_rest();
  }
  protocol = AppProtocol::Dns;
  return consumed(kDnsPrefix + length);
}

bool is_digit(std::uint8_t byte) {
  return byte >= '0' && byte <= '9';
}

/// "250-mail.example" and the like (RFC 5321, RFC 959).
Look look_at_reply(std::uint16_t &replies, std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kCode = 3;
  const auto code = bytes.first(std::min(bytes.size(), kCode));
  if (replies >= kMaxReplies || !std::all_of(code.begin(), code.end(), is_digit)) {
    return kNotMine;
  }
  if (bytes.size() > kCode && bytes[kCode] != ' ' && bytes[kCode] != '-') {
    return kNotMine;
  }
  const auto line = first_line(bytes);
  if (!line) {
    return bytes.size() < kMaxTextLine ? kNeedMore : kNotMine;
  }
  ++replies;
  return consumed(line->length);
}

/// A line of a session that has no meaning here.
Look pass_line(std::span<const std::uint8_t> bytes) {
  const auto line = first_line(bytes);
  return line ? consumed(line->length) : bytes.size() < kMaxTextLine ? kNeedMore : kNotMine;
}

bool speaks_in_lines(AppProtocol protocol) {
  return protocol == AppProtocol::Smtp || protocol == AppProtocol::Ftp;
}

/// A tunnel's content is like a stream of its own: let go, if it is unknown.
bool may_be_let_go(AppProtocol protocol) {
  return protocol == AppProtocol::None || protocol == AppProtocol::Socks;
}

bool is_letter(std::uint8_t byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

bool is_mine(const Look &look) {
  return look.outcome != Look::Outcome::NotMine;
}

} // namespace

void StreamState::lose_place() {
  StreamState kept;
  kept.protocol = protocol;
  kept.misses = misses;
  kept.replies = replies;
  kept.mail = mail == MailText::None ? MailText::None : MailText::InLine;
  kept.http2 = std::move(http2);
  if (kept.http2) {
    kept.http2->lose_place();
  }
  *this = std::move(kept);
}

/// What an earlier call began. NotMine: nothing, or it has ended.
Inspector::Recognized Inspector::continue_known(StreamState &state,
                                                std::span<const std::uint8_t> bytes,
                                                const StreamEnds &ends, ObservableSink &sink) {
  if (state.http2) {
    const Look look = state.http2->look(bytes, scratch_, sink);
    if (look.outcome == Look::Outcome::Done) {
      ++http2_.let_go;
      sink.note_blindness(Blindness::Unreadable);
    }
    return {look, AppProtocol::Http};
  }
  if (state.protocol == AppProtocol::Ssh) {
    return {look_at_ssh_packet(bytes, ends.role, scratch_, sink), AppProtocol::Ssh};
  }
  if (state.mail != MailText::None) {
    return {look_at_smtp(state.mail, SmtpSession::Seen, bytes, scratch_, sink), AppProtocol::Smtp};
  }
  if (state.socks == SocksPhase::Greeted) {
    const Look look = look_at_socks(state.socks, bytes, scratch_, sink);
    const bool asked = state.socks == SocksPhase::Asked;
    if (!is_mine(look)) {
      state.socks = SocksPhase::None;
    }
    return {look, asked ? AppProtocol::Socks : AppProtocol::None};
  }
  return {};
}

Look Inspector::look_at_http2(StreamState &state, std::span<const std::uint8_t> bytes,
                              ObservableSink &sink) {
  switch (match_http2_preface(bytes)) {
  case PrefaceMatch::No:
    return kNotMine;
  case PrefaceMatch::Unfinished:
    return kNeedMore;
  case PrefaceMatch::Yes:
    break;
  }
  state.http2 = Http2Connection::open(http2_);
  if (!state.http2) {
    sink.note_blindness(Blindness::Unreadable);
    return kDone;
  }
  return consumed(kHttp2Preface.size());
}

/// Protocols whose messages begin with letters.
Inspector::Recognized Inspector::look_at_words(StreamState &state,
                                               std::span<const std::uint8_t> bytes,
                                               const StreamEnds &ends, ObservableSink &sink) {
  const auto mail = state.protocol == AppProtocol::Smtp ? SmtpSession::Seen : SmtpSession::NotSeen;
  if (const Look look = look_at_smtp(state.mail, mail, bytes, scratch_, sink); is_mine(look)) {
    return {look, AppProtocol::Smtp};
  }
  const auto files = state.protocol == AppProtocol::Ftp ? FtpSession::Seen : FtpSession::NotSeen;
  if (const Look look = look_at_ftp(files, bytes, scratch_, sink); is_mine(look)) {
    return {look, AppProtocol::Ftp};
  }
  if (bytes[0] == 'S') {
    if (const Look look = look_at_ssh_banner(bytes, scratch_, sink); is_mine(look)) {
      return {look, AppProtocol::Ssh};
    }
  }
  if (bytes[0] == 'P') {
    if (const Look look = look_at_http2(state, bytes, sink); is_mine(look)) {
      return {look, AppProtocol::Http};
    }
  }
  return {look_at_http(state.http, bytes, ends.receiver, scratch_, sink), AppProtocol::Http};
}

/// By the first byte, so that a stream asks few parsers.
Inspector::Recognized Inspector::recognize(StreamState &state, std::span<const std::uint8_t> bytes,
                                           const StreamEnds &ends, ObservableSink &sink) {
  Recognized found = continue_known(state, bytes, ends, sink);
  if (is_mine(found.look)) {
    return found;
  }
  found = {look_at_tls_record(state.tls, bytes, ends.receiver, tls_, sink), AppProtocol::Tls};
  if (is_mine(found.look)) {
    return found;
  }
  const std::uint8_t first = bytes[0];
  const bool dns = is_dns_stream(ends);
  if (is_letter(first)) {
    found = look_at_words(state, bytes, ends, sink);
  } else if (first == '\r' || first == '\n' || first == '-' || first == '_') {
    found = {look_at_http(state.http, bytes, ends.receiver, scratch_, sink), AppProtocol::Http};
  } else if (is_digit(first) && ends.role == StreamRole::Server) {
    found = {look_at_reply(state.replies, bytes), AppProtocol::None};
  } else if ((first == 4 || first == 5) && ends.role == StreamRole::Client && !dns &&
             state.socks == SocksPhase::None) {
    const Look look = look_at_socks(state.socks, bytes, scratch_, sink);
    const bool asked = state.socks == SocksPhase::Asked;
    found = {look, asked ? AppProtocol::Socks : AppProtocol::None};
  }
  if (is_mine(found.look)) {
    return found;
  }
  found.protocol = AppProtocol::None;
  found.look = look_at_dns_over_tcp(bytes, dns, found.protocol, scratch_, sink);
  if (is_mine(found.look) || !speaks_in_lines(state.protocol)) {
    return found;
  }
  return {pass_line(bytes), state.protocol};
}

StreamProgress Inspector::stream(StreamState &state, std::span<const std::uint8_t> bytes,
                                 const StreamEnds &ends, ObservableSink &sink) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    if (sink.is_full()) {
      state.lose_place();
      return {bytes.size(), 0, false};
    }
    const auto rest = bytes.subspan(done);
    const auto [look, protocol] = recognize(state, rest, ends, sink);
    switch (look.outcome) {
    case Look::Outcome::NeedMore:
      return {done, 0, false};
    case Look::Outcome::Done:
      state.protocol = protocol;
      return {done, 0, true};
    case Look::Outcome::NotMine: // whatever this is, look again where a segment begins
      state.http = {};
      return {bytes.size(), 0, ++state.misses >= kMaxMisses && may_be_let_go(state.protocol)};
    case Look::Outcome::Consumed:
      break;
    }
    if (protocol != AppProtocol::None) {
      state.protocol = protocol;
    }
    if (look.length > rest.size()) {
      return {bytes.size(), look.length - rest.size(), false};
    }
    done += static_cast<std::size_t>(look.length);
  }
  return {done, 0, false};
}

AppProtocol Inspector::datagram(std::span<const std::uint8_t> bytes, std::uint16_t source_port,
                                std::uint16_t destination_port, bool answers_wanted,
                                ObservableSink &sink) {
  const bool own_port = is_dns_port(source_port) || is_dns_port(destination_port);
  if (!own_port && (source_port == kNetbiosNames || destination_port == kNetbiosNames)) {
    return AppProtocol::None;
  }
  if (!own_port && look_at_tftp(bytes, scratch_, sink)) {
    return AppProtocol::Tftp;
  }
  const auto look = look_at_dns(
      bytes, own_port ? DnsStrictness::OwnPort : DnsStrictness::AnyPort,
      answers_wanted ? DnsNames::OfQueriesAndAnswers : DnsNames::OfQueries, scratch_, sink);
  return look == DnsLook::NotDns ? AppProtocol::None : AppProtocol::Dns;
}

} // namespace outguard::guest
