#include "intel/url.h"

#include <algorithm>
#include <charconv>

#include "intel/domain_name.h"

namespace outguard::intel {

namespace {

Parsed<std::string> parse_scheme(std::string_view text) {
  std::string scheme(text);
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), ascii_lower);
  if (scheme != "http" && scheme != "https") {
    return reject(RejectReason::BadScheme);
  }
  return scheme;
}

Parsed<std::uint16_t> parse_port(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) {
    return reject(RejectReason::BadPort);
  }
  return port;
}

/// A user name is not part of what is asked for; it often imitates a good host. Programs disagree
/// about a second '@' and a backslash.
Parsed<std::string_view> without_user(std::string_view authority) {
  const auto at = authority.find('@');
  if (at == authority.npos) {
    return authority;
  }
  const auto host = authority.substr(at + 1);
  if (host.empty() || authority.find('\\') != authority.npos || host.find('@') != host.npos) {
    return reject(RejectReason::UserInUrl);
  }
  return host;
}

/// Splits "host", "host:", "host:port", "[v6]" and "[v6]:port".
Parsed<Url> parse_authority(std::string_view authority) {
  Url url;
  const auto bracket = authority.find(']');
  const auto colon =
      authority.find(':', authority.starts_with('[') && bracket != authority.npos ? bracket : 0);
  auto host = authority.substr(0, colon);
  if (colon != authority.npos && colon + 1 != authority.size()) { // "host:" is the usual port
    const auto port = parse_port(authority.substr(colon + 1));
    if (!port) {
      return reject(port.error());
    }
    url.port = *port;
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  url.address = IpAddress::parse(host);
  if (bracketed != (url.address && url.address->family == IpFamily::V6)) {
    return reject(RejectReason::BadAddress);
  }
  if (url.address) {
    url.address = url.address->unmapped();
    url.host = url.address->family == IpFamily::V6 ? "[" + url.address->to_string() + "]"
                                                   : url.address->to_string();
    return url;
  }
  auto name = normalise_domain(host);
  if (!name) {
    return reject(name.error());
  }
  url.host = std::move(*name);
  return url;
}

/// Characters that mean the same escaped or not: RFC 3986, 2.3.
bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

/// 16 for what is no hexadecimal digit.
unsigned hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<unsigned>(c - '0');
  }
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

void escape(std::string &out, unsigned octet) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  out += '%';
  out += kDigits[octet >> 4];
  out += kDigits[octet & 15];
}

/// One way to write each octet, and the same when read again: a '%' that begins no escape is one
/// itself. nullopt: a blank or control character in what is listed.
std::optional<std::string> with_canonical_escapes(std::string_view text, UrlOrigin origin) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    const bool blank = octet <= ' ' || octet == 0x7f;
    if (blank && origin == UrlOrigin::Listed) {
      return std::nullopt;
    }
    const bool escaped = octet == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) < 16 &&
                         hex_digit(text[i + 2]) < 16;
    if (octet > 0x7f || blank || (octet == '%' && !escaped)) {
      escape(out, octet);
      continue;
    }
    if (!escaped) {
      out += text[i];
      continue;
    }
    const auto meant = hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]);
    if (is_unreserved(static_cast<char>(meant))) {
      out += static_cast<char>(meant);
    } else {
      escape(out, meant);
    }
    i += 2;
  }
  return out;
}

/// RFC 3986, 5.2.4, of a path that begins with '/'.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  while (!path.empty()) { // at a '/'
    const auto segment = path.substr(1, path.find('/', 1) - 1);
    path.remove_prefix(segment.size() + 1);
    const bool up = segment == "..";
    if (!up && segment != ".") {
      out.append("/").append(segment);
      continue;
    }
    if (up) {
      out.resize(std::min(out.rfind('/'), out.size())); // npos: nothing above
    }
    if (path.empty()) {
      out += '/';
    }
  }
  return out;
}

std::string port_suffix(std::optional<std::uint16_t> port) {
  return port ? ":" + std::to_string(*port) : std::string();
}

std::optional<std::string> canonical_target(std::string_view target, UrlOrigin origin) {
  const auto encoded = with_canonical_escapes(target, origin);
  if (!encoded) {
    return std::nullopt;
  }
  const std::string_view whole(*encoded);
  const auto path = whole.substr(0, whole.find('?'));
  const auto query = whole.substr(path.size());
  auto out = path.find("/.") == path.npos ? std::string(path) : without_dot_segments(path);
  if (out.empty()) {
    out = "/";
  }
  return out.append(query);
}

} // namespace

std::optional<std::string> canonical_target(std::string_view target) {
  return canonical_target(target, UrlOrigin::Listed);
}

std::string observed_target(std::string_view url) {
  url = url.substr(0, std::min(url.find('#'), kMaxObservedUrlBytes));
  if (const auto mark = url.find("://"); mark < url.find_first_of("/?")) {
    url.remove_prefix(mark + 3);
  }
  const auto start = url.find_first_of("/?");
  return start == url.npos ? std::string()
                           : canonical_target(url.substr(start), UrlOrigin::Observed).value_or("");
}

std::string_view url_authority(std::string_view canonical) {
  const auto slash = canonical.find('/');
  if (slash != canonical.npos && slash > 0 && canonical.substr(slash - 1).starts_with("://")) {
    canonical.remove_prefix(slash + 2);
  }
  return canonical.substr(0, canonical.find('/') + 1); // none: npos + 1, nothing
}

Parsed<Url> Url::parse(std::string_view text, UrlOrigin origin) {
  const bool listed = origin == UrlOrigin::Listed;
  if (text.size() > (listed ? kMaxUrlBytes : kMaxObservedUrlBytes)) {
    return reject(RejectReason::UrlTooLong);
  }
  text = text.substr(0, text.find('#'));
  std::string scheme;
  if (const auto mark = text.find("://"); mark < text.find_first_of("/?")) {
    auto parsed = parse_scheme(text.substr(0, mark));
    if (!parsed) {
      return reject(parsed.error());
    }
    scheme = std::move(*parsed);
    text.remove_prefix(mark + 3);
  }
  const auto authority = text.substr(0, text.find_first_of("/?"));
  if (authority.empty()) {
    return reject(RejectReason::NotAnIndicator); // a path without a host fits every server
  }
  const auto host = without_user(authority);
  if (!host) {
    return reject(host.error());
  }
  auto url = parse_authority(*host);
  if (!url) {
    return url;
  }
  auto target = canonical_target(text.substr(authority.size()), origin);
  if (!target) {
    return reject(RejectReason::NotAnIndicator);
  }
  if (listed && target->size() > kMaxUrlBytes) { // escapes made it longer
    return reject(RejectReason::UrlTooLong);
  }
  url->scheme = std::move(scheme);
  url->target = std::move(*target);
  const std::uint16_t usual = url->scheme == "https" ? 443 : 80;
  if (!url->scheme.empty() && url->port == usual) {
    url->port.reset();
  }
  return url;
}

std::string Url::to_string() const {
  return scheme.empty() ? without_scheme() : scheme + "://" + host + port_suffix(port) + target;
}

std::string Url::without_scheme() const {
  const bool usual = port == 80 || port == 443;
  return host + (usual ? std::string() : port_suffix(port)) + target;
}

} // namespace outguard::intel
