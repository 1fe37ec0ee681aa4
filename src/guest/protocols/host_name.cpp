#include "guest/protocols/host_name.h"

#include <array>
#include <charconv>

#include "base/ip_address.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kMaxName = 253; ///< RFC 1035: 255 bytes on the wire
constexpr std::size_t kMaxLabel = 63;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Underscores are not for hosts (RFC 952), but names in use have them.
constexpr bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/// By byte: what a plain one becomes; 0: it is none.
constexpr auto kPlain = [] {
  std::array<char, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const char c = to_lower(static_cast<char>(i));
    table[i] = is_name_character(c) || c == '.' ? c : '\0';
  }
  return table;
}();

bool is_address(std::string_view name) {
  // An address ends in a digit, or has a colon: spares the parser for nearly every name.
  if (!is_digit(name.back()) && name.find(':') == std::string_view::npos) {
    return false;
  }
  return IpAddress::parse(name).has_value();
}

} // namespace

HostForm form_of(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) {
    return HostForm::Odd;
  }
  if (is_address(name)) {
    return HostForm::Address;
  }
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.' && label > 0) {
      label = 0;
    } else if (!is_name_character(c) || ++label > kMaxLabel) {
      return HostForm::Odd;
    }
  }
  return label > 0 ? HostForm::Name : HostForm::Odd;
}

void append_escaped(std::uint8_t byte, std::string &out) {
  if (byte > ' ' && byte < 0x7f) {
    out += static_cast<char>(byte);
    return;
  }
  out += '\\';
  out += static_cast<char>('0' + byte / 100);
  out += static_cast<char>('0' + byte / 10 % 10);
  out += static_cast<char>('0' + byte % 10);
}

bool append_plain(std::string_view text, std::string &out) {
  const std::size_t start = out.size();
  out.resize(start + text.size());
  char *to = out.data() + start;
  for (const char c : text) {
    const char plain = kPlain[static_cast<std::uint8_t>(c)];
    if (plain == '\0') {
      out.resize(start);
      return false;
    }
    *to++ = plain;
  }
  return true;
}

void append_printable(std::string_view text, std::size_t most, std::string &out) {
  for (const char c : text.substr(0, most)) {
    if (c == ' ') {
      out += c;
    } else {
      append_escaped(static_cast<std::uint8_t>(c), out);
    }
  }
}

std::optional<HostForm> append_host(std::string_view host, std::string &out) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (!host.empty() && host.back() == '.') {
    host.remove_suffix(1);
  }
  if (host.empty()) {
    return std::nullopt;
  }
  const std::size_t start = out.size();
  if (!append_plain(host, out)) {
    for (const char c : host) {
      append_escaped(static_cast<std::uint8_t>(to_lower(c)), out);
    }
  }
  return form_of(std::string_view(out).substr(start));
}

Authority split_authority(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto bracket = text.rfind(']');
  const bool port_like = colon != std::string_view::npos &&
                         (bracket == std::string_view::npos
                              ? text.find(':') == colon // a bare IPv6 address has several
                              : colon == bracket + 1);
  if (!port_like) {
    return {text, std::nullopt};
  }
  const auto digits = text.substr(colon + 1);
  if (digits.empty()) {
    return {text.substr(0, colon), std::nullopt};
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return {text, std::nullopt};
  }
  return {text.substr(0, colon), port};
}

} // namespace outguard::guest
