#pragma once
// One socket of the guest with all its owners.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip_address.h"
#include "facts/guest_text.h"
#include "facts/process_seen.h"

namespace outguard {

/// The kernel's TCP states (include/net/tcp_states.h, unchanged since 2.6); UDP and raw sockets use
/// Established (connected) and Close (unconnected).
enum class SocketState : std::uint8_t {
  Unknown = 0,
  Established = 1,
  SynSent,
  SynRecv,
  FinWait1,
  FinWait2,
  TimeWait,
  Close,
  CloseWait,
  LastAck,
  Listen,
  Closing,
  NewSynRecv,
};
/// Upper-case name as ss(8) and /proc readers know it: "ESTABLISHED", "SYN_SENT", ..., "UNCONN" is
/// not used: an unconnected UDP socket is "CLOSE".
[[nodiscard]] const char *to_string(SocketState state);

enum class OwnerStatus : std::uint8_t {
  Exact,  ///< every descriptor that holds it is listed; where the answer is partial, the first ones
  None,   ///< no process holds it (orphan, not yet accepted, minisock)
  Kernel, ///< a kernel socket
  /// A file stands for it, and nothing that was searched leads there: a request of an io_uring in
  /// flight, a mapping, a call that began before the descriptor was closed.
  Unknown,
};
[[nodiscard]] const char *to_string(OwnerStatus status);

/// How a process holds a socket.
enum class Hold : std::uint8_t {
  Descriptor, ///< an open file descriptor
  InFlight,   ///< sent by SCM_RIGHTS and not received yet: the process can receive it
  IoUring,    ///< registered with an io_uring, the descriptor may be closed
};
[[nodiscard]] const char *to_string(Hold hold);

struct SocketOwner {
  ProcessIdentity process;
  std::int32_t fd = -1; ///< of the socket; of the unix socket or io_uring that leads to it
  Hold hold = Hold::Descriptor;
  GuestText comm;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process, self.fd, self.hold, self.comm);
  }
};

struct SocketSeen {
  IpFamily family = IpFamily::V4; ///< of the socket (AF_INET6 for a v4-mapped one)
  std::uint8_t protocol = 0;      ///< sk_protocol: IPPROTO_TCP, _UDP, raw sockets the user's number
  bool raw = false;               ///< SOCK_RAW
  SocketState state = SocketState::Unknown;
  Endpoint local; ///< address of the same family as the socket
  Endpoint remote;
  std::uint64_t inode = 0; ///< 0: none (orphan, minisock)
  std::optional<std::uint64_t> netns;
  std::vector<SocketOwner> owners;
  OwnerStatus owner_status = OwnerStatus::Exact;
  std::optional<std::uint32_t> uid; ///< who made it, in the root user namespace; minisocks: none
  std::uint64_t sock = 0;           ///< guest virtual address of struct sock
  /// A process's descriptor leads to it and the kernel's tables, where it must be, do not have it.
  bool hidden = false;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.family, self.protocol, self.raw, self.state, self.local, self.remote, self.inode,
         self.netns, self.owners, self.owner_status, self.uid, self.sock, self.hidden);
  }
};

/// A socket that is in none of the IP tables: unix, netlink, packet (a sniffer), vsock, any other
/// family; and of the IP families what has tables of its own (MPTCP: its subflows are TCP sockets).
struct OtherSocketSeen {
  std::uint16_t family = 0;   ///< AF_ number
  std::uint16_t type = 0;     ///< SOCK_ number
  std::uint16_t protocol = 0; ///< as its family counts: EtherType (packet), NETLINK_ number
  SocketState state = SocketState::Unknown;
  GuestText local;  ///< unix: path, "@name" when abstract; netlink: port id; packet: interface;
                    ///< vsock: "CID:PORT"; IP: "ADDRESS:PORT"; empty: none
  GuestText remote; ///< unix: inode of the peer's socket; vsock, IP: as local; empty: none
  std::optional<std::uint32_t> groups; ///< netlink: the first 32 multicast groups, a bit each
  std::uint64_t inode = 0;
  std::optional<std::uint64_t> netns;
  std::vector<SocketOwner> owners;
  OwnerStatus owner_status = OwnerStatus::Exact;
  std::optional<std::uint32_t> uid; ///< as above
  std::uint64_t sock = 0;           ///< guest virtual address of struct sock

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.family, self.type, self.protocol, self.state, self.local, self.remote, self.groups,
         self.inode, self.netns, self.owners, self.owner_status, self.uid, self.sock);
  }
};

} // namespace outguard
