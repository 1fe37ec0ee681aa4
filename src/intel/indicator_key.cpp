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

} // namespace outguard::intel
