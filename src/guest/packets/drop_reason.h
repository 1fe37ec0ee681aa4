#pragma once
// Why a packet was not processed. A closed list: every packet seen is either processed or counted
// under exactly one of these.

#include <array>
#include <cstddef>
#include <cstdint>

namespace outguard::guest {

enum class DropReason : std::uint8_t {
  LostInKernel,       ///< the ring was full; the kernel counted it
  BadRecord,          ///< ring or file record that makes no sense
  UnknownLink,        ///< link type without a decoder
  LinkTooShort,       ///< ends within the link header or a VLAN tag
  TooManyTags,        ///< more VLAN tags than kMaxVlanTags
  NotIp,              ///< ARP, LLDP, ... : nothing a flow is made of
  IpTooShort,         ///< ends within the IP header or an extension header
  BadIpHeader,        ///< version, header length or total length contradict each other
  TooManyExtensions,  ///< IPv6 extension headers beyond kMaxExtensionHeaders
  TransportTooShort,  ///< ends within the TCP, UDP or ICMP header
  BadTransportHeader, ///< TCP data offset or UDP length that contradicts the packet
  TooManyTunnels,     ///< one in another beyond kMaxTunnels
  BadTunnelHeader,    ///< no such header as its place promises, or one whose content is hidden
  FragmentIncomplete, ///< the rest did not come in time, or had to make room for others
  FragmentOverlap,    ///< of a packet whose parts contradict each other: Linux takes none of them
  FragmentRepeated,   ///< a part that was there already
  FragmentBad,        ///< ends where no packet can, or the capture cut it
};
inline constexpr std::size_t kDropReasons = 17;

/// Lower-case words with underscores, as metrics want them: "not_ip".
[[nodiscard]] const char *to_string(DropReason reason);

/// seen == processed + sum(dropped), always.
struct PacketCounters {
  std::uint64_t seen = 0;
  std::uint64_t processed = 0;
  std::array<std::uint64_t, kDropReasons> dropped{};

  void drop(DropReason reason, std::uint64_t count = 1) {
    seen += count;
    dropped[static_cast<std::size_t>(reason)] += count;
  }
  void process(std::uint64_t count = 1) {
    seen += count;
    processed += count;
  }
  [[nodiscard]] std::uint64_t dropped_for(DropReason reason) const {
    return dropped[static_cast<std::size_t>(reason)];
  }
  [[nodiscard]] std::uint64_t dropped_total() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : dropped) {
      sum += count;
    }
    return sum;
  }
};

} // namespace outguard::guest
