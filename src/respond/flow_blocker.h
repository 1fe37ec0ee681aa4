#pragma once
// Drops flows of one tap, both ways, by nftables set elements that the kernel itself expires. All
// of it lives in one table of our own, "outguard_TAP", inside the tap's namespace; it outlives this
// process and no other table is ever touched. One thread at a time.

#include <chrono>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "facts/flow_seen.h"
#include "respond/nft_context.h"
#include "respond/route_netlink.h"

namespace outguard::respond {

class FlowBlocker {
public:
  enum class Mechanism {
    Netdev, ///< hooks on the tap itself; the egress hook needs Linux 5.16
    Bridge, ///< hooks of the bridge that the tap is a port of; Unsupported if it is of none
  };

  /// `only`: a mechanism to use without trying another (tests). Unsupported: a device name that
  /// nftables cannot carry.
  [[nodiscard]] static Result<FlowBlocker> open(const Fd &netns, const std::string &tap,
                                                std::optional<Mechanism> only = {});

  /// Adds the flow or renews its time to live, and reads it back; only then is it blocked.
  /// Unsupported: this flow or host has no way.
  [[nodiscard]] Result<void> block(const FlowSeen &flow, std::chrono::seconds ttl);
  /// Time left, or nullopt when it is not blocked (any more).
  [[nodiscard]] Result<std::optional<std::chrono::seconds>> remaining(const FlowTuple &flow) const;
  /// Fine if it is not there.
  [[nodiscard]] Result<void> unblock(const FlowTuple &flow);
  /// Removes our table and every block in it.
  [[nodiscard]] Result<void> remove_all();

  [[nodiscard]] std::optional<Mechanism> mechanism() const { return mechanism_; }

private:
  FlowBlocker(NftContext nft, RouteNetlink devices, std::string tap, std::optional<Mechanism> only)
      : nft_(std::move(nft)), devices_(std::move(devices)), tap_(std::move(tap)), mechanism_(only) {
  }

  [[nodiscard]] std::string table(Mechanism mechanism) const;
  [[nodiscard]] std::string setup(Mechanism mechanism) const;
  [[nodiscard]] Result<void> add(Mechanism mechanism, const FlowTuple &flow,
                                 std::chrono::seconds ttl);
  [[nodiscard]] int device_index() const;
  [[nodiscard]] Result<std::optional<std::chrono::seconds>>
  remaining_in(Mechanism mechanism, const FlowTuple &flow) const;

  NftContext nft_;
  RouteNetlink devices_;
  std::string tap_;
  std::optional<Mechanism> mechanism_; ///< set by the first block that worked
  int set_up_on_ = 0;                  ///< index of the device that our chains are on
};

} // namespace outguard::respond
