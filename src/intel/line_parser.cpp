#include "intel/line_parser.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "intel/domain_name.h"
#include "intel/url.h"

namespace outguard::intel {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
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

Parsed<LineIndicator> guarded(IndicatorKey key, const IpNetwork &network, ReservedPolicy policy) {
  if (const auto reason = reserved_reason(network, policy)) {
    return reject(*reason);
  }
  return LineIndicator{std::move(key)};
}

IpNetwork host_network(const IpAddress &address) {
  return {address, most_prefix(address.family)};
}

Parsed<LineIndicator> from_address(const IpAddress &given, ReservedPolicy policy) {
  const auto address = given.unmapped();
  return guarded(IndicatorKey::address(address), host_network(address), policy);
}

/// Host bits are refused, not cleared: "1.2.3.4/24" may mean one host or the network, and a wrong
/// guess would widen an indicator that processes are ended for.
Parsed<LineIndicator> from_network(const IpAddress &given, std::string_view digits,
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

Parsed<LineIndicator> from_endpoint(std::string_view word, ReservedPolicy policy) {
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

Parsed<LineIndicator> from_url(std::string_view word, ReservedPolicy policy) {
  const auto url = Url::parse(word);
  if (!url) {
    return reject(url.error());
  }
  if (!url->address && is_reserved_name(url->host, policy)) {
    return reject(RejectReason::SpecialUseName);
  }
  IndicatorKey key{IndicatorType::Url, 0, url->to_string()};
  return url->address ? guarded(std::move(key), host_network(*url->address), policy)
                      : LineIndicator{std::move(key)};
}

Parsed<LineIndicator> from_domain(std::string_view word, ReservedPolicy policy) {
  auto name = normalise_domain(word);
  if (!name) {
    return reject(name.error());
  }
  if (is_reserved_name(*name, policy)) {
    return reject(RejectReason::SpecialUseName);
  }
  return LineIndicator{{IndicatorType::Domain, 0, std::move(*name)}};
}

/// Cuts a comment: from a `#`, `;` or `//` at the start of the line or after a blank.
std::string_view without_comment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_word = i == 0 || is_blank(line[i - 1]);
    const auto rest = line.substr(i);
    if (begins_word && (rest.starts_with('#') || rest.starts_with(';') || rest.starts_with("//"))) {
      return line.substr(0, i);
    }
  }
  return line;
}

/// Takes the next word off the front of `line`; empty at the end.
std::string_view take_word(std::string_view &line) {
  const auto *const start = std::find_if_not(line.begin(), line.end(), is_blank);
  const auto *const end = std::find_if(start, line.end(), is_blank);
  const auto word = line.substr(static_cast<std::size_t>(start - line.begin()),
                                static_cast<std::size_t>(end - start));
  line.remove_prefix(static_cast<std::size_t>(end - line.begin()));
  return word;
}

/// The addresses that hosts files used as block lists point names to.
bool is_sinkhole(std::string_view word) {
  return word == "0.0.0.0" || word == "127.0.0.1" || word == "::" || word == "::1";
}

bool has_control_character(std::string_view line) {
  return std::any_of(line.begin(), line.end(),
                     [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; });
}

} // namespace

Parsed<LineIndicator> parse_indicator(std::string_view word, ReservedPolicy policy) {
  if (word.starts_with("*.") || word.starts_with('.')) {
    return from_domain(word.substr(word.front() == '*' ? 2 : 1), policy);
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

bool parse_line(std::string_view line, ReservedPolicy policy, const LineSink &sink) {
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  line = without_comment(line);
  if (has_control_character(line)) {
    sink(reject(RejectReason::ControlCharacter));
    return true;
  }
  const auto first = take_word(line);
  if (first.empty()) {
    return false;
  }
  auto next = take_word(line);
  // Some lists give a count or score after each indicator.
  const bool alone =
      next.empty() || (all_digits(next) && line.find_first_not_of(" \t") == line.npos);
  if (alone) {
    sink(parse_indicator(first, policy));
    return true;
  }
  if (!is_sinkhole(first)) {
    sink(reject(RejectReason::TrailingText));
    return true;
  }
  for (; !next.empty(); next = take_word(line)) {
    auto indicator = parse_indicator(next, policy);
    if (indicator) {
      indicator->scope = DomainScope::Exact;
    }
    sink(std::move(indicator));
  }
  return true;
}

} // namespace outguard::intel
