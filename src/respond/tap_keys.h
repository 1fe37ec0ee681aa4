#pragma once
// Rules as keys of the filter's maps, and back. Plain functions of values.

#include "facts/network_rule.h"
#include "respond/bpf/tap_maps.h"

namespace outguard::respond {

[[nodiscard]] tap::TapFlow key_of(const FlowTuple &flow);
[[nodiscard]] FlowTuple flow_of(const tap::TapFlow &key);
/// `generation`: of allowed networks, 0 for forbidden ones; 24 bits count.
[[nodiscard]] tap::TapNetwork key_of(const IpNetwork &network, std::uint32_t generation = 0);
[[nodiscard]] IpNetwork network_of(const tap::TapNetwork &key);
[[nodiscard]] std::uint32_t generation_of(const tap::TapNetwork &key);
[[nodiscard]] tap::TapPort key_of(const PortRule &rule);

} // namespace outguard::respond
