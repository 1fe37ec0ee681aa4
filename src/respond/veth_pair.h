#pragma once
// A pair of devices, each the other's far end, that no host stack speaks on: no ARP, no address of
// its own, the largest frames. In the calling thread's network namespace; plain functions.

#include <string>

#include "base/result.h"

namespace outguard::respond {

struct VethPair {
  int first = 0, second = 0; ///< device indexes
};

/// Both up. Unsupported: this kernel has no veth.
[[nodiscard]] Result<VethPair> make_veth_pair(const std::string &first, const std::string &second);
/// The other end goes with it. Fine if it is not there.
[[nodiscard]] Result<void> remove_device(const std::string &name);

} // namespace outguard::respond
