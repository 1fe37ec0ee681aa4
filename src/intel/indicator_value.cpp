#include "intel/indicator_value.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "intel/domain_name.h"
#include "intel/url.h"

namespace outguard::intel {

namespace {

Parsed<FeedIndicator> indicator_of(IndicatorKey key) {
  Parsed<FeedIndicator> indicator;
  indicator->key = std::move(key);
  return indicator;
}

/// IpAddress::parse() behind a cheap check: most lines of a list are names.
std::optional<IpAddress> parse_address(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= ':') || c == '.' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
  };
  return std::all_of(text.begin(), text.end(), fits) ? IpAddress::parse(text) : std::nullopt;
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// nullopt: not digits, or more than `most`.
std::optional<unsigned> number(std::string_view digits, unsigned most) {
  unsigned value = 0;
  if (!all_digits(digits) ||
      std::from_chars(digits.data(), digits.data() + digits.size(), value).ec != std::errc{} ||
      value > most) {
    return std::nullopt;
  }
  return value;
}

Parsed<FeedIndicator> guarded(IndicatorKey key, const IpNetwork &network, ReservedPolicy policy) {
  if (const auto reason = reserved_reason(network, policy)) {
    return reject(*reason);
  }
  return indicator_of(std::move(key));
}

IpNetwork host_network(const IpAddress &address) {
  return {address, most_prefix(address.family)};
}

Parsed<FeedIndicator> from_address(const IpAddress &given, ReservedPolicy policy) {
  const auto address = given.unmapped();
  return guarded(IndicatorKey::address(address), host_network(address), policy);
}

/// Host bits are refused, not cleared: "1.2.3.4/24" may mean one host or the network, and a wrong
/// guess would widen an indicator that processes are ended for.
Parsed<FeedIndicator> from_network(const IpAddress &given, std::string_view digits,
                                   ReservedPolicy policy) {
  auto prefix = number(digits, most_prefix(given.family));
  if (!prefix) {
    return reject(RejectReason::BadPrefix);
  }
  const auto address = given.unmapped();
  if (address.family != given.family) { // ::ffff:a.b.c.d/N
    if (*prefix < 96) {
      return reject(RejectReason::TooBroad);
    }
    *prefix -= 96;
  }
  if (*prefix < (address.family == IpFamily::V4 ? kLeastPrefixV4 : kLeastPrefixV6)) {
    return reject(RejectReason::TooBroad);
  }
  const IpNetwork network{address, static_cast<std::uint8_t>(*prefix)};
  if (masked(address, network.prefix) != address) {
    return reject(RejectReason::HostBits);
  }
  return guarded(IndicatorKey::network(network), network, policy);
}

Parsed<FeedIndicator> from_endpoint(std::string_view word, ReservedPolicy policy) {
  const auto colon = word.rfind(':');
  auto host = word.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return reject(RejectReason::BadAddress); // IPv6 with a port stands in brackets
  }
  const auto port = number(word.substr(colon + 1), 65535);
  if (!port || *port == 0) {
    return reject(RejectReason::BadPort);
  }
  const auto given = parse_address(host);
  if (!given) {
    return reject(normalise_domain(host) ? RejectReason::PortAfterName
                                         : RejectReason::NotAnIndicator);
  }
  const auto address = given->unmapped();
  const Endpoint endpoint{address, static_cast<std::uint16_t>(*port)};
  return guarded(IndicatorKey::endpoint(endpoint), host_network(address), policy);
}

Parsed<FeedIndicator> from_url(std::string_view word, ReservedPolicy policy) {
  const auto url = Url::parse(word);
  if (!url) {
    return reject(url.error());
  }
  if (!url->address && is_reserved_name(url->host, policy)) {
    return reject(RejectReason::SpecialUseName);
  }
  IndicatorKey key{IndicatorType::Url, 0, url->to_string()};
  return url->address ? guarded(std::move(key), host_network(*url->address), policy)
                      : indicator_of(std::move(key));
}

Parsed<FeedIndicator> from_domain(std::string_view word, ReservedPolicy policy) {
  auto name = normalise_domain(word);
  if (!name) {
    return reject(name.error());
  }
  if (is_reserved_name(*name, policy)) {
    return reject(RejectReason::SpecialUseName);
  }
  auto indicator = indicator_of({IndicatorType::Domain, 0, std::move(*name)});
  indicator->scope = MatchScope::WithSubdomains;
  return indicator;
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

bool all_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_hex_digit);
}

constexpr std::size_t kMd5Digits = 32;
constexpr std::size_t kSha1Digits = 40;
constexpr std::size_t kSha256Digits = 64;

/// What a bare digest in a list is taken for: a file's.
std::optional<IndicatorType> digest_type(std::string_view word) {
  std::optional<IndicatorType> type;
  switch (word.size()) {
  case kMd5Digits:
    type = IndicatorType::FileMd5;
    break;
  case kSha1Digits:
    type = IndicatorType::FileSha1;
    break;
  case kSha256Digits:
    type = IndicatorType::FileSha256;
    break;
  default:
    break;
  }
  return type && all_hex(word) ? type : std::nullopt;
}

std::size_t digest_digits(IndicatorType type) {
  switch (type) {
  case IndicatorType::FileSha1:
  case IndicatorType::CertificateSha1:
    return kSha1Digits;
  case IndicatorType::FileSha256:
  case IndicatorType::CertificateSha256:
    return kSha256Digits;
  default:
    return kMd5Digits;
  }
}

/// Digests of no bytes at all, which every empty file has.
bool is_digest_of_nothing(std::string_view digest) {
  return digest == "d41d8cd98f00b204e9800998ecf8427e" ||
         digest == "da39a3ee5e6b4b0d3255bfef95601890afd80709" ||
         digest == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
}

/// Fingerprints of certificates are also written with a colon between octets.
Parsed<FeedIndicator> from_digest(IndicatorType type, std::string_view word) {
  std::string digest;
  for (const char c : word.substr(0, 2 * kSha256Digits)) {
    if (c != ':') {
      digest += ascii_lower(c);
    }
  }
  if (digest.size() != digest_digits(type) || !all_hex(digest)) {
    return reject(RejectReason::BadHash);
  }
  if (is_digest_of_nothing(digest)) {
    return reject(RejectReason::EmptyDataHash);
  }
  return indicator_of({type, 0, std::move(digest)});
}

/// "t13d1516h2_8daaf6152771_b186095e22b6": transport, version, name or not, counts, ALPN; two
/// truncated digests.
bool is_ja4(std::string_view word) {
  constexpr std::size_t kFirst = 10;
  constexpr std::size_t kDigest = 12;
  if (word.size() != kFirst + 2 * (1 + kDigest) || word[kFirst] != '_' ||
      word[kFirst + 1 + kDigest] != '_') {
    return false;
  }
  const auto lower = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  const auto digests = word.substr(kFirst + 1);
  const auto digits = word.substr(4, 4);
  return std::string_view("tqd").find(word[0]) != std::string_view::npos &&
         (word[3] == 'd' || word[3] == 'i') && all_digits(digits) &&
         std::all_of(digests.begin(), digests.begin() + kDigest, lower) &&
         std::all_of(digests.begin() + kDigest + 1, digests.end(), lower);
}

Parsed<FeedIndicator> from_path(std::string_view word) {
  word = word.substr(0, word.find('#'));
  if (word.size() > kMaxUrlBytes) {
    return reject(RejectReason::UrlTooLong);
  }
  auto path = canonical_target(word);
  if (!path) {
    return reject(RejectReason::NotAnIndicator);
  }
  if (path->size() > kMaxUrlBytes) {
    return reject(RejectReason::UrlTooLong);
  }
  if (path->size() < kLeastPathBytes) {
    return reject(RejectReason::PathTooShort);
  }
  auto indicator = indicator_of({IndicatorType::UrlPath, 0, std::move(*path)});
  indicator->confidence = kPathConfidence;
  return indicator;
}

bool is_address_type(IndicatorType type) {
  return type == IndicatorType::Address || type == IndicatorType::Network;
}

} // namespace

Parsed<FeedIndicator> parse_indicator(std::string_view word, ReservedPolicy policy) {
  if (word.ends_with("/*")) {
    auto all = parse_indicator(word.substr(0, word.size() - 1), policy);
    if (all) {
      all->scope = MatchScope::Prefix;
    }
    return all;
  }
  if (word.starts_with("*.") || word.starts_with('.')) {
    return from_domain(word.substr(word.front() == '*' ? 2 : 1), policy);
  }
  if (word.starts_with('/') && !word.starts_with("//")) {
    return from_path(word);
  }
  if (const auto type = digest_type(word)) {
    return from_digest(*type, word);
  }
  if (is_ja4(word)) {
    return indicator_of({IndicatorType::Ja4, 0, std::string(word)});
  }
  const auto bare = word.ends_with('.') ? word.substr(0, word.size() - 1) : word;
  if (const auto address = parse_address(bare)) {
    return from_address(*address, policy);
  }
  if (const auto slash = word.find('/'); slash != std::string_view::npos) {
    const auto address = parse_address(word.substr(0, slash));
    return address && all_digits(word.substr(slash + 1))
               ? from_network(*address, word.substr(slash + 1), policy)
               : from_url(word, policy);
  }
  if (word.find(':') != std::string_view::npos) {
    return from_endpoint(word, policy);
  }
  return from_domain(word, policy);
}

Parsed<FeedIndicator> parse_value(IndicatorType type, std::string_view text,
                                  ReservedPolicy policy) {
  switch (type) {
  case IndicatorType::Address:
  case IndicatorType::Network:
  case IndicatorType::Endpoint:
  case IndicatorType::Domain: {
    auto indicator = parse_indicator(text, policy);
    const bool fits = !indicator || indicator->key.type == type ||
                      (is_address_type(type) && is_address_type(indicator->key.type));
    return fits ? indicator : reject(RejectReason::TypeMismatch);
  }
  case IndicatorType::Url:
    return from_url(text, policy);
  case IndicatorType::UrlPath:
    return text.starts_with('/') ? from_path(text) : reject(RejectReason::TypeMismatch);
  case IndicatorType::Ja4:
    return is_ja4(text) ? indicator_of({type, 0, std::string(text)})
                        : reject(RejectReason::BadFingerprint);
  case IndicatorType::Ja3:
  case IndicatorType::Hassh:
  case IndicatorType::CertificateSha1:
  case IndicatorType::CertificateSha256:
  case IndicatorType::FileMd5:
  case IndicatorType::FileSha1:
  case IndicatorType::FileSha256:
    return from_digest(type, text);
  }
  return reject(RejectReason::TypeUnknown);
}

} // namespace outguard::intel
