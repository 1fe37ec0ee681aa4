#pragma once
// Drops a VM's packets at its tap, inside the kernel, each rule until the kernel itself forgets it.
// Two mechanisms behind one interface: a tc eBPF program (tc_filter.h), nftables where that cannot
// be had (flow_blocker.h). Both outlive this process, and touch nothing that is not ours. One
// thread at a time.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/network_rule.h"

namespace outguard::respond {

struct RuleInForce {
  NetworkRule rule;
  std::chrono::seconds left{}; ///< rounded up
};

class TapFilter {
public:
  TapFilter() = default;
  TapFilter(const TapFilter &) = delete;
  TapFilter &operator=(const TapFilter &) = delete;
  virtual ~TapFilter() = default;

  /// "tc-bpf", "nft-netdev", "nft-bridge".
  [[nodiscard]] virtual const char *mechanism() const = 0;
  /// Adds the rule or renews its time to live, and reads it back; only then is it in force.
  /// Unsupported: this mechanism has no way to say it.
  [[nodiscard]] virtual Result<void> add(const NetworkRule &rule, std::chrono::seconds ttl) = 0;
  /// Fine if it is not there.
  [[nodiscard]] virtual Result<void> remove(const NetworkRule &rule) = 0;
  /// nullopt: not in force (any more).
  [[nodiscard]] virtual Result<std::optional<std::chrono::seconds>>
  remaining(const NetworkRule &rule) const = 0;
  /// Whatever is in force, also from an earlier run: what a restart reconciles by difference.
  [[nodiscard]] virtual Result<std::vector<RuleInForce>> list() const = 0;
  /// Removes all that is ours.
  [[nodiscard]] virtual Result<void> remove_all() = 0;
};

} // namespace outguard::respond
