#pragma once
// The network that an indicator is about. Pure function.

#include <optional>

#include "intel/indicator_key.h"

namespace outguard::intel {

/// Of an Address, Network or Endpoint; an address is a network of full prefix. nullopt: another
/// type.
[[nodiscard]] std::optional<IpNetwork> network_of(const IndicatorKey &key);

} // namespace outguard::intel
