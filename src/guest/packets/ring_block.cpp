#include "guest/packets/ring_block.h"

#include <algorithm>
#include <cstring>

#include <linux/if_packet.h>

namespace outguard::guest {

namespace {

constexpr std::size_t kAddressOffset =
    (sizeof(tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT;
constexpr std::size_t kRecordHeader = kAddressOffset + sizeof(sockaddr_ll);
constexpr std::uint16_t kDefaultTag = 0x8100;

/// Copied once; what is checked is what is used.
template <class T> bool load(std::span<const std::uint8_t> bytes, std::uint64_t offset, T &out) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof out) {
    return false;
  }
  std::memcpy(&out, bytes.data() + offset, sizeof out);
  return true;
}

} // namespace

RingBlock::RingBlock(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
  tpacket_block_desc block{};
  if (!load(bytes, 0, block)) {
    return;
  }
  const auto most = static_cast<std::uint32_t>(bytes.size() / kRecordHeader);
  left_ = std::min(block.hdr.bh1.num_pkts, most);
  lost_ = block.hdr.bh1.num_pkts - left_;
  offset_ = block.hdr.bh1.offset_to_first_pkt;
}

bool RingBlock::give_up() {
  lost_ += left_;
  left_ = 0;
  return false;
}

bool RingBlock::next(PacketView &out) {
  if (left_ == 0) {
    return false;
  }
  tpacket3_hdr header{};
  sockaddr_ll address{};
  if (!load(bytes_, offset_, header) || !load(bytes_, offset_ + kAddressOffset, address)) {
    return give_up();
  }
  const std::uint64_t start = offset_ + header.tp_mac;
  if (header.tp_mac < kRecordHeader || start > bytes_.size() ||
      bytes_.size() - start < header.tp_snaplen) {
    return give_up();
  }
  out = {};
  out.bytes = bytes_.subspan(start, header.tp_snaplen);
  out.original_length = std::max(header.tp_len, header.tp_snaplen);
  out.checksums_filled = (header.tp_status & TP_STATUS_CSUMNOTREADY) == 0;
  out.timestamp_ns =
      std::int64_t{header.tp_sec} * 1'000'000'000 + std::min(header.tp_nsec, 999'999'999U);
  out.direction =
      address.sll_pkttype == PACKET_OUTGOING ? FlowDirection::ToGuest : FlowDirection::ToRemote;
  if ((header.tp_status & TP_STATUS_VLAN_VALID) != 0) {
    const bool named = (header.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
    out.outer_tag = VlanTag{static_cast<std::uint16_t>(header.hv1.tp_vlan_tci),
                            named ? header.hv1.tp_vlan_tpid : kDefaultTag};
  }
  --left_;
  ++count_;
  end_ = std::max(end_, static_cast<std::uint32_t>(start + header.tp_snaplen));
  if (left_ > 0 && header.tp_next_offset < kRecordHeader) {
    (void)give_up(); // would not move forward; this packet itself is good
  }
  offset_ += header.tp_next_offset;
  return true;
}

} // namespace outguard::guest
