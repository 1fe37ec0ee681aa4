#include "hypervisor/packet_ring_opener.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "hypervisor/network_namespace.h"

namespace outguard::hypervisor {

namespace {

/// Runs inside the namespace. The socket takes packets only once it is bound: with a protocol from
/// the start it would first collect those of every device.
Result<OpenedRing> open_here(const PacketRing &ring) {
  const unsigned index = ::if_nametoindex(ring.interface.c_str());
  if (index == 0) {
    return fail(ErrorCode::NotFound, "no network device " + ring.interface);
  }
  OpenedRing opened{Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), ring};
  if (!opened.socket) {
    return fail_errno("packet socket");
  }
  const int version = TPACKET_V3;
  if (::setsockopt(opened.socket.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) !=
      0) {
    return fail_errno("TPACKET_V3");
  }
  constexpr std::uint64_t kMillisecond = 1'000'000;
  tpacket_req3 request{};
  request.tp_block_size = ring.block_size;
  request.tp_block_nr = ring.block_count;
  request.tp_frame_size = ring.frame_size;
  request.tp_frame_nr = ring.block_size / ring.frame_size * ring.block_count;
  request.tp_retire_blk_tov =
      static_cast<unsigned>((ring.retire_timeout_ns + kMillisecond - 1) / kMillisecond);
  if (::setsockopt(opened.socket.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) !=
      0) {
    return fail_errno("packet ring of " + ring.interface);
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (::bind(opened.socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) !=
      0) {
    return fail_errno("bind to " + ring.interface);
  }
  return opened;
}

} // namespace

Result<OpenedRing> open_packet_ring(const Fd &netns, const PacketRing &ring) {
  if (ring.frame_size == 0 || ring.block_size % ring.frame_size != 0) {
    return fail(ErrorCode::InvalidInput, "frames do not fill the ring's blocks");
  }
  return in_namespace(netns, [&] { return open_here(ring); });
}

Result<OpenedRing> open_packet_ring(const VmFound &vm, const TapFound &tap) {
  const auto netns = open_tap_namespace(vm, tap);
  if (!netns) {
    return tl::unexpected(netns.error());
  }
  PacketRing ring;
  ring.interface = tap.name;
  return open_packet_ring(*netns, ring);
}

} // namespace outguard::hypervisor
