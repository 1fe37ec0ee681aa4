#pragma once
// Sends frames into a tap's link: to the guest through the tap itself, to the remote end through
// the bridge that the tap is a port of, or through the host's own routing where there is none. One
// thread at a time; owns its sockets.

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "respond/reset_frames.h"
#include "respond/route_netlink.h"

namespace outguard::respond {

/// Mark of every packet that we send into a guest: lets it through our own blocks. Neither a guest
/// nor the network can set a mark.
inline constexpr std::uint32_t kOwnPacketMark = 0x0075a11d;

class PacketInjector {
public:
  [[nodiscard]] static Result<PacketInjector> open(const Fd &netns, const std::string &tap);

  /// Past the host's queues, and past our own block of the flow; the sensor's capture does not see
  /// it.
  [[nodiscard]] Result<void> to_guest(const Frame &frame) const;
  [[nodiscard]] Result<void> to_remote(const FlowSeen &flow, const Frame &frame) const;
  /// Refused: the host's routing would deliver it to this host itself, or to many. The addresses
  /// are a sensor's word, and a sensor must not be able to reset the host's own connections.
  [[nodiscard]] Result<void> check_to_remote(const FlowSeen &flow) const;

private:
  struct Link {
    Fd socket;
    int index = 0;
  };

  explicit PacketInjector(RouteNetlink kernel) : kernel_(std::move(kernel)) {}
  [[nodiscard]] static Result<PacketInjector> open_here(const std::string &tap);
  [[nodiscard]] bool goes_by_routing(const FlowSeen &flow) const;

  RouteNetlink kernel_;
  Link tap_;
  Link bridge_; ///< no socket: the tap is no bridge's port
  MacAddress bridge_mac_{};
  Fd raw4_, raw6_; ///< raw IP, header included
};

} // namespace outguard::respond
