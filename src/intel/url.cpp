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

/// Splits "host", "host:port", "[v6]" and "[v6]:port".
Parsed<Url> parse_authority(std::string_view authority) {
  if (authority.find('@') != std::string_view::npos) {
    return reject(RejectReason::UserInUrl);
  }
  Url url;
  const auto bracket = authority.find(']');
  const auto colon =
      authority.find(':', authority.starts_with('[') && bracket != authority.npos ? bracket : 0);
  auto host = authority.substr(0, colon);
  if (colon != authority.npos) {
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

std::string port_suffix(std::optional<std::uint16_t> port) {
  return port ? ":" + std::to_string(*port) : std::string();
}

} // namespace

std::string_view url_authority(std::string_view canonical) {
  const auto slash = canonical.find('/');
  if (slash != canonical.npos && slash > 0 && canonical.substr(slash - 1).starts_with("://")) {
    canonical.remove_prefix(slash + 2);
  }
  return canonical.substr(0, canonical.find('/') + 1); // none: npos + 1, nothing
}

Parsed<Url> Url::parse(std::string_view text) {
  if (text.size() > kMaxUrlBytes) {
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
  auto url = parse_authority(authority);
  if (!url) {
    return url;
  }
  const auto target = text.substr(authority.size());
  if (!std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
    return reject(RejectReason::NotAnIndicator);
  }
  url->scheme = std::move(scheme);
  url->target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
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
