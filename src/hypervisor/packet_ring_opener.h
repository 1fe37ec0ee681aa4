#pragma once
// Opens the packet socket of a tap for a sensor. The ring is set up and bound here, mapped and read
// there.

#include "base/fd.h"
#include "base/result.h"
#include "facts/packet_ring.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

struct OpenedRing {
  Fd socket; ///< AF_PACKET, TPACKET_V3, bound, both directions
  PacketRing ring;
};

[[nodiscard]] Result<OpenedRing> open_packet_ring(const VmFound &vm, const TapFound &tap);
/// `ring.interface` names the device, in `netns`.
[[nodiscard]] Result<OpenedRing> open_packet_ring(const Fd &netns, const PacketRing &ring);

} // namespace outguard::hypervisor
