#pragma once
// Tests and fuzz seeds: a TPACKET_V3 block as the kernel lays it out, or falsified.

#include <cstring>
#include <optional>
#include <vector>

#include <linux/if_packet.h>

#include "guest/packets/packet_view.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {

struct RingPacket {
  Bytes bytes{};
  std::optional<std::uint32_t> captured{};        ///< tp_snaplen, when it shall lie
  std::optional<std::uint32_t> original_length{}; ///< tp_len
  std::uint32_t status = 0;
  VlanTag tag{};
  bool outgoing = false;
};

namespace ring_layout {
inline constexpr std::uint32_t kFirst = 48; ///< block descriptor, aligned
inline constexpr std::uint16_t kMac = 82;   ///< 68 bytes of headers, 14 of Ethernet aligned to 16
} // namespace ring_layout

[[nodiscard]] inline std::uint32_t ring_stride(const RingPacket &packet) {
  return static_cast<std::uint32_t>((ring_layout::kMac + packet.bytes.size() + 15) / 16 * 16);
}

[[nodiscard]] inline Bytes ring_block(const std::vector<RingPacket> &packets,
                                      std::uint32_t block_size) {
  Bytes memory(block_size, 0);
  tpacket_block_desc block{};
  block.hdr.bh1.block_status = TP_STATUS_USER;
  block.hdr.bh1.num_pkts = static_cast<std::uint32_t>(packets.size());
  block.hdr.bh1.offset_to_first_pkt = ring_layout::kFirst;
  std::memcpy(memory.data(), &block, sizeof block);
  std::size_t at = ring_layout::kFirst;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const RingPacket &packet = packets[i];
    const auto size = static_cast<std::uint32_t>(packet.bytes.size());
    tpacket3_hdr header{};
    header.tp_next_offset = i + 1 < packets.size() ? ring_stride(packet) : 0;
    header.tp_sec = 1'700'000'000;
    header.tp_nsec = 123;
    header.tp_snaplen = packet.captured.value_or(size);
    header.tp_len = packet.original_length.value_or(size);
    header.tp_status = TP_STATUS_USER | packet.status;
    header.tp_mac = ring_layout::kMac;
    header.hv1.tp_vlan_tci = packet.tag.control;
    header.hv1.tp_vlan_tpid = packet.tag.protocol;
    sockaddr_ll address{};
    address.sll_pkttype = packet.outgoing ? PACKET_OUTGOING : PACKET_OTHERHOST;
    std::memcpy(memory.data() + at, &header, sizeof header);
    std::memcpy(memory.data() + at + sizeof header, &address, sizeof address);
    if (size > 0) {
      std::memcpy(memory.data() + at + ring_layout::kMac, packet.bytes.data(), size);
    }
    at += ring_stride(packet);
  }
  return memory;
}

/// Where the header of packet `index` stands.
[[nodiscard]] inline std::size_t ring_packet_offset(const Bytes &memory, std::size_t index) {
  std::size_t at = ring_layout::kFirst;
  for (; index > 0; --index) {
    std::uint32_t next = 0;
    std::memcpy(&next, memory.data() + at, sizeof next);
    at += next;
  }
  return at;
}

} // namespace outguard::guest
