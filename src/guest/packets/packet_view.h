#pragma once
// One captured packet as a source hands it out: a view, valid until the source is asked again.
// Every byte and every number in it came from the network.

#include <cstdint>
#include <optional>
#include <span>

#include "facts/flow_seen.h"

namespace outguard::guest {

/// Values of the pcap link-type registry (LINKTYPE_*) that the decoder knows.
enum class LinkType : std::uint16_t {
  Null = 0, ///< BSD loopback, address family in the writer's byte order
  Ethernet = 1,
  Ppp = 9,     ///< RFC 1661, 1662
  RawBsd = 12, ///< DLT_RAW as some systems write it
  RawOpenBsd = 14,
  Raw = 101,
  Loop = 108, ///< OpenBSD loopback, address family in network order
  LinuxCooked = 113,
  RawV4 = 228,
  RawV6 = 229,
  LinuxCooked2 = 276,
};

/// A tag that the kernel took out of the frame (tp_vlan_tci, tp_vlan_tpid).
struct VlanTag {
  std::uint16_t control = 0;  ///< priority, DEI, 12 bits of VLAN id
  std::uint16_t protocol = 0; ///< 0x8100, 0x88a8
};

struct PacketView {
  std::span<const std::uint8_t> bytes; ///< from the link header on
  std::uint32_t original_length = 0;   ///< on the wire; bytes.size() when nothing was cut
  LinkType link = LinkType::Ethernet;
  /// The sender has filled in its checksums. Not so where the host does it later
  /// (TP_STATUS_CSUMNOTREADY: offload), and not known of a file: never a reason to distrust then.
  bool checksums_filled = false;
  std::int64_t timestamp_ns = 0; ///< wall clock of the capturing host, since the epoch
  std::optional<VlanTag> outer_tag;
  std::optional<FlowDirection> direction; ///< known on a tap, not in a file
};

} // namespace outguard::guest
