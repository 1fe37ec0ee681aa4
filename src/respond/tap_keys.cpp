#include "respond/tap_keys.h"

#include <algorithm>

namespace outguard::respond {

namespace {

constexpr std::uint32_t kKindBits = 32; // of TapNetwork.kind, which belong to the prefix

IpAddress address_of(std::uint8_t family, const std::uint8_t (&bytes)[16]) {
  IpAddress address;
  address.family = family == 4 ? IpFamily::V4 : IpFamily::V6;
  std::copy(std::begin(bytes), std::end(bytes), address.bytes.begin());
  return address;
}

} // namespace

tap::TapFlow key_of(const FlowTuple &flow) {
  tap::TapFlow key{};
  key.family = static_cast<std::uint8_t>(flow.local.address.family);
  key.protocol = flow.protocol;
  key.local_port = flow.local.port;
  key.remote_port = flow.remote.port;
  std::copy(flow.local.address.bytes.begin(), flow.local.address.bytes.end(), key.local);
  std::copy(flow.remote.address.bytes.begin(), flow.remote.address.bytes.end(), key.remote);
  return key;
}

FlowTuple flow_of(const tap::TapFlow &key) {
  return {key.protocol,
          {address_of(key.family, key.local), key.local_port},
          {address_of(key.family, key.remote), key.remote_port}};
}

tap::TapNetwork key_of(const IpNetwork &network, std::uint32_t generation) {
  tap::TapNetwork key{};
  key.prefix_length = kKindBits + network.prefix_length;
  key.kind[0] = static_cast<std::uint8_t>(network.address.family);
  for (unsigned i = 0; i < 3; ++i) {
    key.kind[i + 1] = static_cast<std::uint8_t>(generation >> (8 * i));
  }
  std::copy(network.address.bytes.begin(), network.address.bytes.end(), key.address);
  return key;
}

IpNetwork network_of(const tap::TapNetwork &key) {
  return {address_of(key.kind[0], key.address),
          static_cast<std::uint8_t>(key.prefix_length - kKindBits)};
}

std::uint32_t generation_of(const tap::TapNetwork &key) {
  return std::uint32_t{key.kind[1]} | std::uint32_t{key.kind[2]} << 8 |
         std::uint32_t{key.kind[3]} << 16;
}

tap::TapPort key_of(const PortRule &rule) {
  tap::TapPort key{};
  key.protocol = rule.protocol;
  key.port = rule.port;
  return key;
}

} // namespace outguard::respond
