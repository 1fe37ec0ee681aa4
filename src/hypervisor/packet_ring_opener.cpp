#include "hypervisor/packet_ring_opener.h"

#include <algorithm>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "hypervisor/network_namespace.h"
#include "hypervisor/opening_filter.h"

namespace outguard::hypervisor {

namespace {

/// Asked for; the kernel doubles it. Some 300 openings that nobody has looked at yet.
constexpr int kOpeningsBuffer = 256 * 1024;
constexpr std::uint64_t kMostKept = std::uint64_t{256} << 20;

Result<void> set_up_ring(const Fd &socket, const PacketRing &ring) {
  const int version = TPACKET_V3;
  if (::setsockopt(socket.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0) {
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
  if (::setsockopt(socket.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) {
    return fail_errno("packet ring of " + ring.interface);
  }
  return pass_each_once(socket);
}

Result<void> set_up_openings(const Fd &socket) {
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kOpeningsBuffer,
                   sizeof kOpeningsBuffer) != 0) {
    return fail_errno("receive buffer");
  }
  return pass_openings_only(socket);
}

Result<void> bind_to(unsigned device, const Fd &socket) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(device);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
    return fail_errno("bind of a packet socket");
  }
  return {};
}

/// Runs inside the namespace. A socket takes packets only once it is bound: with a protocol from
/// the start it would first collect those of every device.
Result<OpenedRing> open_here(const PacketRing &ring) {
  const unsigned device = ::if_nametoindex(ring.interface.c_str());
  if (device == 0) {
    return fail(ErrorCode::NotFound, "no network device " + ring.interface);
  }
  const auto packet_socket = [] {
    return Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  };
  OpenedRing opened{packet_socket(), packet_socket(), ring};
  if (!opened.socket || !opened.openings) {
    return fail_errno("packet socket");
  }
  return set_up_ring(opened.socket, ring)
      .and_then([&] { return set_up_openings(opened.openings); })
      .and_then([&] { return bind_to(device, opened.socket); })
      .and_then([&] { return bind_to(device, opened.openings); })
      .map([&] { return std::move(opened); });
}

} // namespace

Result<OpenedRing> open_packet_ring(const Fd &netns, const PacketRing &ring) {
  if (ring.frame_size == 0 || ring.block_size % ring.frame_size != 0) {
    return fail(ErrorCode::InvalidInput, "frames do not fill the ring's blocks");
  }
  return in_namespace(netns, [&] { return open_here(ring); });
}

Result<OpenedRing> open_packet_ring(const VmFound &vm, const TapFound &tap,
                                    std::uint64_t keep_bytes) {
  const auto netns = open_tap_namespace(vm, tap);
  if (!netns) {
    return tl::unexpected(netns.error());
  }
  PacketRing ring;
  ring.interface = tap.name;
  ring.kept_bytes = static_cast<std::uint32_t>(std::min(keep_bytes, kMostKept) / 2);
  ring.block_count += ring.kept_bytes / ring.block_size;
  return open_packet_ring(*netns, ring);
}

} // namespace outguard::hypervisor
