#pragma once
// A flow of one VM, what was observed in it, what of that an indicator matched, and whose it is.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "facts/beacon_score.h"
#include "facts/guest_text.h"
#include "facts/policy_match.h"
#include "facts/process_seen.h"
#include "facts/tunnel_kind.h"

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
  std::vector<TunnelKind> tunnels;  ///< opened on the way to this flow, outer first
  std::optional<FlowTuple> carrier; ///< the outermost flow that it came in, if that still is
  MacAddress guest_mac{};
  MacAddress remote_mac{};          ///< next hop on the guest's link
  std::int64_t first_packet_ns = 0; ///< host wall clock, ns since the epoch
  std::int64_t last_packet_ns = 0;
  std::uint64_t packets_to_remote = 0, packets_to_guest = 0;
  std::uint64_t bytes_to_remote = 0, bytes_to_guest = 0;
  std::string app_protocol; ///< "http", "tls", "dns", ..., or empty
  std::uint8_t blind = 0;   ///< Blindness bits: what of this flow nobody outside can read
  TcpPosition tcp;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.flow_id, self.tuple, self.initiator, self.interface, self.vlans, self.tunnels,
         self.carrier, self.guest_mac, self.remote_mac, self.first_packet_ns, self.last_packet_ns,
         self.packets_to_remote, self.packets_to_guest, self.bytes_to_remote, self.bytes_to_guest,
         self.app_protocol, self.blind, self.tcp);
  }
};

/// Why names of a flow may be hidden from whoever watches the wire. Bits.
enum class Blindness : std::uint8_t {
  EncryptedHello = 1, ///< TLS ECH offered: the name seen may be the front's; browsers grease it too
  DnsOverHttps = 2,   ///< a resolver known for DNS over HTTPS was named
  DnsOverTls = 4,     ///< TCP or UDP 853, or ALPN "dot" or "doq"
  /// QUIC of a version, or with keys, that cannot be opened; a name or certificate of TLS too far
  /// behind; HTTP/2 that could not be followed; urgent bytes in a TCP stream.
  Unreadable = 8,
};

enum class ObservableKind : std::uint8_t {
  RemoteAddress,
  RemoteEndpoint,
  DnsName, ///< asked for
  HttpHost,
  HttpUrl,
  TlsServerName,    ///< also of QUIC
  DnsAnswerName,    ///< an alias or target in an answer
  DnsAnswerAddress, ///< in an answer
  HttpMethod,
  HttpUserAgent,
  TlsVersion,        ///< that the server chose: "TLS 1.2"
  TlsAlpn,           ///< the client's first
  TlsJa3,            ///< 32 hexadecimal digits
  TlsJa4,            ///< also of QUIC
  CertificateSha1,   ///< of the server's first certificate, DER; 40 hexadecimal digits
  CertificateSha256, ///< likewise, 64
  CertificateName,   ///< subject's common name and DNS alternative names
  SshBanner,         ///< without "SSH-2.0-"
  SshHassh,          ///< of the client
  SshHasshServer,
  MailHost,       ///< SMTP: EHLO and HELO, domains of senders and recipients
  FileName,       ///< FTP and TFTP
  ProxyTarget,    ///< host of SOCKS and CONNECT
  ExecutableHash, ///< SHA-256 of the process's executable
};
inline constexpr std::size_t kObservableKinds =
    static_cast<std::size_t>(ObservableKind::ExecutableHash) + 1;
[[nodiscard]] const char *to_string(ObservableKind kind);

struct ObservedText {
  ObservableKind kind = ObservableKind::DnsName;
  GuestText value;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.kind, self.value);
  }
};

enum class IndicatorType : std::uint8_t {
  Address,
  Network,
  Endpoint,
  Domain,
  Url,
  UrlPath, ///< path and query on any host
  Ja3,
  Ja4,
  Hassh,
  CertificateSha1,
  CertificateSha256,
  FileMd5,
  FileSha1,
  FileSha256,
};
[[nodiscard]] const char *to_string(IndicatorType type);

/// Traffic light protocol 2.0: who may be told.
enum class Tlp : std::uint8_t { Unknown, Clear, Green, Amber, AmberStrict, Red };
/// "clear", "green", "amber", "amber+strict", "red"; "" for Unknown.
[[nodiscard]] const char *to_string(Tlp tlp);

/// An indicator as it stood in its source, and what matched it.
struct IndicatorHit {
  IndicatorType type = IndicatorType::Address;
  GuestText value;  ///< normalized indicator (feeds are hostile text too)
  GuestText source; ///< file it came from
  std::uint32_t source_line = 0;
  std::uint8_t confidence = 0; ///< 0..100
  std::uint8_t severity = 0;   ///< 1 (worst) to 3, as Suricata's; 0: the source says none
  Tlp tlp = Tlp::Unknown;
  GuestText id;                ///< the source's own, e.g. STIX "indicator--..."; empty: none
  GuestText about;             ///< malware family or description, cut; empty: none
  std::vector<GuestText> tags; ///< at most 16
  std::int64_t first_seen = 0; ///< seconds since the epoch, as all times here; 0: not given
  std::int64_t last_seen = 0;
  std::int64_t valid_from = 0;
  std::int64_t valid_until = 0;
  ObservableKind observed = ObservableKind::RemoteAddress;
  GuestText observed_value;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.type, self.value, self.source, self.source_line, self.confidence, self.severity,
         self.tlp, self.id, self.about, self.tags, self.first_seen, self.last_seen, self.valid_from,
         self.valid_until, self.observed, self.observed_value);
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
  bool ambiguous = false;  ///< network namespaces share the tuple: `processes` holds those of each
  bool of_carrier = false; ///< the socket is that of the tunnel, the flow itself has none
  bool serves_names = false; ///< name resolution, and a holder answers others' questions (port 53)

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.status, self.latency_ns, self.age_ns, self.processes, self.ancestors,
         self.ancestors_cut, self.sock, self.ambiguous, self.of_carrier, self.serves_names);
  }
};

enum class MatchBasis : std::uint8_t {
  Indicator, ///< something observed is listed
  Beacon,    ///< nothing need be listed: the contacts are too regular; no `indicator`
  Policy,    ///< nothing need be listed: the VM's policy does not allow the flow; no `indicator`
};

/// A listed remote end that nobody answered: its flows together, so far.
struct Knocks {
  static constexpr std::size_t kMostPorts = 32;

  std::uint64_t flows = 0;
  std::vector<std::uint16_t> ports; ///< of the guest, each once, in the order they were tried
  bool ports_cut = false;           ///< there were more than kMostPorts
  std::int64_t first_ns = 0, last_ns = 0;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.flows, self.ports, self.ports_cut, self.first_ns, self.last_ns);
  }
};

/// The sensor's one message per (flow, indicator): everything an alert needs.
struct MatchSeen {
  static constexpr std::size_t kMostSources = 16;

  MatchBasis basis = MatchBasis::Indicator;
  FlowSeen flow;
  IndicatorHit indicator;
  std::vector<GuestText> sources; ///< "file:line" of all that list it, at most kMostSources
  std::uint32_t source_count = 0; ///< also of those that are left out
  Attribution attribution;
  std::optional<BeaconScore> beacon; ///< of the flow's destination, where something is known
  std::optional<Knocks> knocks;      ///< began outside, and the guest let nobody in
  std::uint64_t match_latency_ns =
      0;                  ///< time stamp of the packet that completed the observable -> match
  bool prevented = false; ///< the packet was held at the tap and refused: it never left
  std::optional<PolicyMatch> policy; ///< of MatchBasis::Policy

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.basis, self.flow, self.indicator, self.sources, self.source_count, self.attribution,
         self.beacon, self.knocks, self.match_latency_ns, self.prevented, self.policy);
  }
};

} // namespace outguard
