#include "intel/guards/key_network.h"

#include <algorithm>
#include <cstring>

namespace outguard::intel {

std::optional<IpNetwork> network_of(const IndicatorKey &key) {
  if (key.type != IndicatorType::Address && key.type != IndicatorType::Network &&
      key.type != IndicatorType::Endpoint) {
    return std::nullopt;
  }
  const bool has_port = key.type == IndicatorType::Endpoint;
  const auto octets = key.bytes.size() - std::min<std::size_t>(key.bytes.size(), has_port ? 2 : 0);
  if (octets != 4 && octets != 16) {
    return std::nullopt;
  }
  IpNetwork network{{octets == 4 ? IpFamily::V4 : IpFamily::V6, {}}, key.prefix};
  std::memcpy(network.address.bytes.data(), key.bytes.data(), octets);
  if (key.type != IndicatorType::Network) {
    network.prefix = most_prefix(network.address.family);
  }
  return network;
}

} // namespace outguard::intel
