#pragma once
// The TapFilter for hosts without tc eBPF: nftables set elements that the kernel itself expires.
// All of it lives in one table of our own, "outguard_TAP", inside the tap's namespace; it outlives
// this process and no other table is ever touched. One thread at a time.
//
// Weaker than tc_filter.h: a second VLAN tag hides a packet from every rule but isolation, and
// later fragments of a dropped datagram pass (nobody can put them together).

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "respond/nft_context.h"
#include "respond/nft_text.h"
#include "respond/route_netlink.h"
#include "respond/tap_filter.h"

namespace outguard::respond {

class NftFilter : public TapFilter {
public:
  /// NftNetdev hooks the tap itself (its egress hook needs Linux 5.16), NftBridge the bridge that
  /// it is a port of. Unsupported: this host, tap or name has no way.
  [[nodiscard]] static Result<std::unique_ptr<TapFilter>>
  open(const Fd &netns, const std::string &tap, FilterMechanism mechanism);
  /// What an earlier run made; nullptr if there is nothing.
  [[nodiscard]] static Result<std::unique_ptr<TapFilter>>
  find(const Fd &netns, const std::string &tap, FilterMechanism mechanism);

  /// Removes tables of ours whose tap is gone.
  [[nodiscard]] static Result<void> remove_dead(const Fd &netns);
  /// Whether open() would work; asks the kernel, which changes nothing.
  [[nodiscard]] static Result<void> probe(const Fd &netns, const std::string &tap,
                                          FilterMechanism mechanism);

  [[nodiscard]] const char *mechanism() const override { return to_string(mechanism_); }
  [[nodiscard]] const char *hook() const override {
    return mechanism_ == FilterMechanism::NftNetdev ? "netdev" : "bridge";
  }
  [[nodiscard]] std::size_t most_tags() const override { return 1; }
  [[nodiscard]] Result<void> add(const NetworkRule &rule, std::chrono::seconds ttl) override;
  [[nodiscard]] Result<void> remove(const NetworkRule &rule) override;
  [[nodiscard]] Result<std::optional<std::chrono::seconds>>
  remaining(const NetworkRule &rule) const override;
  [[nodiscard]] Result<std::vector<RuleInForce>> list() const override;
  [[nodiscard]] Result<void> sweep() override { return {}; } ///< the kernel does
  [[nodiscard]] Result<FilterDrops> drops() const override;
  [[nodiscard]] Result<void> remove_all() override;

private:
  NftFilter(NftContext nft, RouteNetlink devices, std::string tap, FilterMechanism mechanism)
      : nft_(std::move(nft)), devices_(std::move(devices)), tap_(std::move(tap)),
        mechanism_(mechanism) {}

  [[nodiscard]] static Result<std::unique_ptr<NftFilter>>
  make(const Fd &netns, const std::string &tap, FilterMechanism mechanism);
  [[nodiscard]] std::string table() const;
  /// Empty if there is no such table.
  [[nodiscard]] Result<NftTable> read() const;
  [[nodiscard]] int device_index() const; ///< 0: no such device
  [[nodiscard]] Result<int> device_to_hook() const;
  [[nodiscard]] std::string element_commands(const NetworkRule &rule,
                                             std::chrono::seconds ttl) const;
  /// Makes or finds the table and runs `commands` in it, as one transaction. They are asked for
  /// once it is known which sets there are.
  [[nodiscard]] Result<void> apply(const std::function<std::string()> &commands);
  [[nodiscard]] bool is_hooked() const;
  [[nodiscard]] Result<std::optional<std::chrono::seconds>>
  left_in_set(const NetworkRule &rule) const;

  NftContext nft_;
  RouteNetlink devices_;
  std::string tap_;
  FilterMechanism mechanism_;
  int set_up_on_ = 0;                  ///< index of the device that our chains are on
  std::set<std::string> network_sets_; ///< that are known to be in the table
};

} // namespace outguard::respond
