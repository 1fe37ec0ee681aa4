#include "intel/indicator_key.h"

#include <algorithm>

namespace outguard::intel {

namespace {

std::optional<IpAddress> address_from(std::string_view octets) {
  if (octets.size() != 4 && octets.size() != 16) {
    return std::nullopt;
  }
  IpAddress address{octets.size() == 4 ? IpFamily::V4 : IpFamily::V6, {}};
  std::transform(octets.begin(), octets.end(), address.bytes.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return address;
}

std::optional<Endpoint> endpoint_from(std::string_view bytes) {
  if (bytes.size() < 2) {
    return std::nullopt;
  }
  const auto address = address_from(bytes.substr(0, bytes.size() - 2));
  if (!address) {
    return std::nullopt;
  }
  const auto high = static_cast<std::uint8_t>(bytes[bytes.size() - 2]);
  const auto low = static_cast<std::uint8_t>(bytes.back());
  return Endpoint{*address, static_cast<std::uint16_t>(high << 8 | low)};
}

/// 16 for what is no hexadecimal digit.
constexpr unsigned nibble(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<unsigned>(c - '0');
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kDigits[static_cast<std::uint8_t>(c) >> 4];
    text += kDigits[static_cast<std::uint8_t>(c) & 15];
  }
  return text;
}

} // namespace

IndicatorKey IndicatorKey::address(const IpAddress &address) {
  return {IndicatorType::Address, 0, std::string(octet_view(address))};
}

IndicatorKey IndicatorKey::network(const IpNetwork &network) {
  if (network.prefix == most_prefix(network.address.family)) {
    return address(network.address);
  }
  return {IndicatorType::Network, network.prefix, std::string(octet_view(network.address))};
}

IndicatorKey IndicatorKey::endpoint(const Endpoint &endpoint) {
  IndicatorKey key{IndicatorType::Endpoint, 0, std::string(octet_view(endpoint.address))};
  key.bytes += static_cast<char>(endpoint.port >> 8);
  key.bytes += static_cast<char>(endpoint.port & 0xff);
  return key;
}

std::optional<std::string> key_text(IndicatorType type, std::uint8_t prefix,
                                    std::string_view bytes) {
  switch (type) {
  case IndicatorType::Address:
  case IndicatorType::Network: {
    const auto address = address_from(bytes);
    if (!address) {
      return std::nullopt;
    }
    const auto suffix = type == IndicatorType::Network ? "/" + std::to_string(prefix) : "";
    return address->to_string() + suffix;
  }
  case IndicatorType::Endpoint: {
    const auto endpoint = endpoint_from(bytes);
    return endpoint ? std::optional(endpoint->to_string()) : std::nullopt;
  }
  case IndicatorType::Domain:
  case IndicatorType::Url:
  case IndicatorType::UrlPath:
  case IndicatorType::Ja3:
  case IndicatorType::Ja4:
  case IndicatorType::Hassh:
  case IndicatorType::CertificateSha1:
  case IndicatorType::CertificateSha256:
  case IndicatorType::FileMd5:
  case IndicatorType::FileSha1:
  case IndicatorType::FileSha256:
    return std::string(bytes);
  }
  return std::nullopt;
}

std::size_t digest_bytes(IndicatorType type) {
  switch (type) {
  case IndicatorType::Ja3:
  case IndicatorType::Hassh:
  case IndicatorType::FileMd5:
    return 16;
  case IndicatorType::CertificateSha1:
  case IndicatorType::FileSha1:
    return 20;
  case IndicatorType::CertificateSha256:
  case IndicatorType::FileSha256:
    return 32;
  case IndicatorType::Address:
  case IndicatorType::Network:
  case IndicatorType::Endpoint:
  case IndicatorType::Domain:
  case IndicatorType::Url:
  case IndicatorType::UrlPath:
  case IndicatorType::Ja4:
    break;
  }
  return 0;
}

std::optional<std::string_view> stored_bytes(IndicatorType type, std::string_view bytes,
                                             DigestBytes &scratch) {
  const auto size = digest_bytes(type);
  if (size == 0) {
    return bytes;
  }
  if (bytes.size() != size * 2) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < size; ++i) {
    const auto high = nibble(bytes[2 * i]);
    const auto low = nibble(bytes[2 * i + 1]);
    if ((high | low) > 15) {
      return std::nullopt;
    }
    scratch[i] = static_cast<char>(high << 4 | low);
  }
  return std::string_view(scratch.data(), size);
}

std::optional<std::string> stored_text(IndicatorType type, std::uint8_t prefix,
                                       std::string_view stored) {
  const auto size = digest_bytes(type);
  if (size == 0) {
    return key_text(type, prefix, stored);
  }
  return stored.size() == size ? std::optional(to_hex(stored)) : std::nullopt;
}

} // namespace outguard::intel
