#pragma once
// Drops a VM's packets at its tap, inside the kernel, each rule until the kernel itself forgets it.
// Two mechanisms behind one interface: a tc eBPF program (tc_filter.h), nftables where that cannot
// be had (nft_filter.h). Both outlive this process, and touch nothing that is not ours. One
// thread at a time.

#include <chrono>
#include <cstdint>
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

/// Packets dropped since the filter is there, by the kind of the rule.
struct FilterDrops {
  std::uint64_t flow = 0, remote = 0, port = 0, isolation = 0;
  /// Could have been of a forbidden flow or port and were not to be told: a transport header beyond
  /// too many headers or tags.
  std::uint64_t unreadable = 0;
};

inline constexpr std::chrono::seconds kMostRuleTtl{std::chrono::hours(24) * 30};

class TapFilter {
public:
  TapFilter() = default;
  TapFilter(const TapFilter &) = delete;
  TapFilter &operator=(const TapFilter &) = delete;
  virtual ~TapFilter() = default;

  /// "tc-bpf", "nft-netdev", "nft-bridge".
  [[nodiscard]] virtual const char *mechanism() const = 0;
  /// Where in the kernel: "tcx", "clsact", "netdev", "bridge".
  [[nodiscard]] virtual const char *hook() const = 0;
  /// VLAN tags below which rules still hold.
  [[nodiscard]] virtual std::size_t most_tags() const = 0;
  /// Adds the rule or sets its time to live anew, and reads it back; only then is it in force.
  /// There is one isolation: another takes its place, without a gap. Unsupported: this mechanism
  /// has no way to say it. LimitReached: the kernel's tables are full.
  [[nodiscard]] virtual Result<void> add(const NetworkRule &rule, std::chrono::seconds ttl) = 0;
  /// Fine if it is not there.
  [[nodiscard]] virtual Result<void> remove(const NetworkRule &rule) = 0;
  /// nullopt: not in force (any more).
  [[nodiscard]] virtual Result<std::optional<std::chrono::seconds>>
  remaining(const NetworkRule &rule) const = 0;
  /// Whatever is in force, also from an earlier run: what a restart reconciles by difference.
  [[nodiscard]] virtual Result<std::vector<RuleInForce>> list() const = 0;
  /// Frees what the expired hold, and takes off the tap what another version of ours left there:
  /// only once what a journal wants has been added.
  [[nodiscard]] virtual Result<void> sweep() = 0;
  [[nodiscard]] virtual Result<FilterDrops> drops() const = 0;
  /// Removes all that is ours. The filter may be used again.
  [[nodiscard]] virtual Result<void> remove_all() = 0;
};

/// Whether the rule and its time to live make sense at all.
[[nodiscard]] Result<void> check_rule(const NetworkRule &rule, std::chrono::seconds ttl);

enum class FilterMechanism : std::uint8_t { TcBpf, NftNetdev, NftBridge };
[[nodiscard]] const char *to_string(FilterMechanism mechanism);

struct OpenTapFilter {
  std::unique_ptr<TapFilter> filter;
  std::string why_not_better; ///< for people; empty: the best there is
};
/// The first mechanism that can hold rules here, and why not the ones before it. `only`: no other
/// is tried. Nothing is filtered until a rule is added.
[[nodiscard]] Result<OpenTapFilter> open_tap_filter(const Fd &netns, const std::string &tap,
                                                    std::optional<FilterMechanism> only = {});

} // namespace outguard::respond
