#pragma once
// Opens the packet sockets of a tap for a sensor: the ring, which carries everything and is late by
// a few milliseconds, and one that hands over openings of connections at once. Set up and bound
// here, mapped and read there.

#include <cstdint>

#include "base/fd.h"
#include "base/result.h"
#include "facts/packet_ring.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

struct OpenedRing {
  Fd socket;   ///< AF_PACKET, TPACKET_V3, bound, both directions
  Fd openings; ///< AF_PACKET, bound, with the locked filter of opening_filter.h
  PacketRing ring;
};

/// `keep_bytes`: what of the tap's last packets is to be kept, at most 256 MiB
/// (facts/packet_ring.h).
[[nodiscard]] Result<OpenedRing> open_packet_ring(const VmFound &vm, const TapFound &tap,
                                                  std::uint64_t keep_bytes = 0);
/// `ring.interface` names the device, in `netns`.
[[nodiscard]] Result<OpenedRing> open_packet_ring(const Fd &netns, const PacketRing &ring);

} // namespace outguard::hypervisor
