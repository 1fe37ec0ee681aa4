#include "base/ip_address.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace outguard {

namespace {

/// As inet_pton(3): four numbers of one to three digits, none above 255, none with a leading zero.
bool parse_v4(std::string_view text, std::array<std::uint8_t, 16> &bytes) {
  std::array<std::uint8_t, 4> octets{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const auto start = at;
    unsigned value = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && value < 256; ++at) {
      value = value * 10 + static_cast<unsigned>(text[at] - '0');
    }
    const bool leading_zero = at - start > 1 && text[start] == '0';
    const bool ends =
        i + 1 == octets.size() ? at == text.size() : at < text.size() && text[at] == '.';
    if (at == start || value > 255 || leading_zero || !ends) {
      return false;
    }
    octets[i] = static_cast<std::uint8_t>(value);
    ++at;
  }
  std::copy(octets.begin(), octets.end(), bytes.begin());
  return true;
}

} // namespace

IpAddress IpAddress::v4(std::span<const std::uint8_t, 4> network_order) {
  IpAddress address;
  std::copy(network_order.begin(), network_order.end(), address.bytes.begin());
  return address;
}

IpAddress IpAddress::v6(std::span<const std::uint8_t, 16> network_order) {
  IpAddress address{IpFamily::V6, {}};
  std::copy(network_order.begin(), network_order.end(), address.bytes.begin());
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN) {
    return std::nullopt;
  }
  IpAddress address;
  if (parse_v4(text, address.bytes)) {
    return address;
  }
  const std::string terminated(text);
  if (terminated.find(':') == std::string::npos || terminated.find('\0') != std::string::npos) {
    return std::nullopt;
  }
  address.family = IpFamily::V6;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family == IpFamily::V4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

IpAddress IpAddress::unmapped() const {
  constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (family == IpFamily::V6 && std::equal(kPrefix.begin(), kPrefix.end(), bytes.begin())) {
    return v4(std::span(bytes).subspan<12, 4>());
  }
  return *this;
}

std::string Endpoint::to_string() const {
  const auto port_text = std::to_string(port);
  return address.family == IpFamily::V4 ? address.to_string() + ":" + port_text
                                        : "[" + address.to_string() + "]:" + port_text;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return std::nullopt;
  }
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  Endpoint endpoint;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  const auto address = IpAddress::parse(host);
  if (error != std::errc{} || end != digits.data() + digits.size() || !address ||
      bracketed != (address->family == IpFamily::V6)) {
    return std::nullopt;
  }
  endpoint.address = *address;
  return endpoint;
}

std::string protocol_name(std::uint8_t protocol) {
  switch (static_cast<IpProtocol>(protocol)) {
  case IpProtocol::Icmp:
    return "icmp";
  case IpProtocol::Tcp:
    return "tcp";
  case IpProtocol::Udp:
    return "udp";
  case IpProtocol::Icmpv6:
    return "icmpv6";
  case IpProtocol::UdpLite:
    return "udplite";
  }
  return std::to_string(protocol);
}

} // namespace outguard
