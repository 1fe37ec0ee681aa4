#pragma once
// A flow of one VM, what was observed in it, what of that an indicator matched, and whose it is.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "facts/guest_text.h"
#include "facts/process_seen.h"

namespace outguard {

using MacAddress = std::array<std::uint8_t, 6>;

/// Addresses as the guest sees them: local is the guest's side.
struct FlowTuple {
  std::uint8_t protocol = 0; ///< IANA number
  Endpoint local;            ///< ports 0 for protocols without; ICMP: see packets/
  Endpoint remote;

  auto operator<=>(const FlowTuple &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.protocol, self.local, self.remote);
  }
};

enum class FlowDirection : std::uint8_t { ToRemote, ToGuest };

/// What a TCP reset of this flow needs: next sequence numbers each side expects, from the packets.
struct TcpPosition {
  std::uint32_t guest_next = 0;  ///< next sequence number from the guest
  std::uint32_t remote_next = 0; ///< next sequence number from the remote
  bool guest_known = false;
  bool remote_known = false;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.guest_next, self.remote_next, self.guest_known, self.remote_known);
  }
};

struct FlowSeen {
  std::uint64_t flow_id = 0; ///< unique per sensor run
  FlowTuple tuple;
  FlowDirection initiator = FlowDirection::ToRemote; ///< direction of the first packet seen
  std::string interface;                             ///< tap or capture file
  std::vector<std::uint16_t> vlans;                  ///< outer first
  MacAddress guest_mac{};
  MacAddress remote_mac{};          ///< next hop on the guest's link
  std::int64_t first_packet_ns = 0; ///< host wall clock, ns since the epoch
  std::int64_t last_packet_ns = 0;
  std::uint64_t packets_to_remote = 0, packets_to_guest = 0;
  std::uint64_t bytes_to_remote = 0, bytes_to_guest = 0;
  std::string app_protocol; ///< "http", "tls", "dns", or empty
  TcpPosition tcp;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.flow_id, self.tuple, self.initiator, self.interface, self.vlans, self.guest_mac,
         self.remote_mac, self.first_packet_ns, self.last_packet_ns, self.packets_to_remote,
         self.packets_to_guest, self.bytes_to_remote, self.bytes_to_guest, self.app_protocol,
         self.tcp);
  }
};

enum class ObservableKind : std::uint8_t {
  RemoteAddress,
  RemoteEndpoint,
  DnsName,
  HttpHost,
  HttpUrl,
  TlsServerName
};
[[nodiscard]] const char *to_string(ObservableKind kind);

enum class IndicatorType : std::uint8_t { Address, Network, Endpoint, Domain, Url };
[[nodiscard]] const char *to_string(IndicatorType type);

/// An indicator as it stood in its source, and what matched it.
struct IndicatorHit {
  IndicatorType type = IndicatorType::Address;
  GuestText value;  ///< normalized indicator (feeds are hostile text too)
  GuestText source; ///< file it came from
  std::uint32_t source_line = 0;
  std::uint8_t confidence = 0;  ///< 0..100
  std::int64_t valid_until = 0; ///< seconds since the epoch; 0: no end given
  ObservableKind observed = ObservableKind::RemoteAddress;
  GuestText observed_value;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.type, self.value, self.source, self.source_line, self.confidence, self.valid_until,
         self.observed, self.observed_value);
  }
};

enum class AttributionStatus : std::uint8_t {
  Exact,       ///< read from memory at or after the flow's first packet
  Listener,    ///< only the listening socket is known
  Cached,      ///< from an earlier read; age says how old
  OwnerGone,   ///< the socket was there, its owner was not
  NotFound,    ///< no such socket in the guest's tables
  Unavailable, ///< the guest could not be read; the reason is the VM's state
};
[[nodiscard]] const char *to_string(AttributionStatus status);

struct Attribution {
  AttributionStatus status = AttributionStatus::NotFound;
  std::uint64_t latency_ns = 0;       ///< first packet's kernel time stamp to answer
  std::uint64_t age_ns = 0;           ///< how old the answer was when given; 0 for Exact
  std::vector<ProcessSeen> processes; ///< every process that holds the socket, lowest pid first
  std::vector<Ancestor> ancestors;    ///< of processes[0], parent first, up to pid 1
  bool ancestors_cut = false;         ///< there are more, and they could not be read
  std::uint64_t sock = 0;
  bool ambiguous = false; ///< network namespaces share the tuple: `processes` holds those of each

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.status, self.latency_ns, self.age_ns, self.processes, self.ancestors,
         self.ancestors_cut, self.sock, self.ambiguous);
  }
};

/// The sensor's one message per (flow, indicator): everything an alert needs.
struct MatchSeen {
  FlowSeen flow;
  IndicatorHit indicator;
  Attribution attribution;
  std::uint64_t match_latency_ns =
      0; ///< time stamp of the packet that completed the observable -> match

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.flow, self.indicator, self.attribution, self.match_latency_ns);
  }
};

} // namespace outguard
