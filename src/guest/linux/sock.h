#pragma once
// One struct sock, or one of the smaller objects (TIME_WAIT, half-open) that stand in for it in the
// TCP table, as it was copied. Plain values.

#include <optional>
#include <utility>

#include "facts/flow_seen.h"
#include "facts/socket_seen.h"
#include "guest/bytes/address.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/list_walk.h"

namespace outguard::guest {

struct Sock {
  GuestVirtual address;
  IpFamily family = IpFamily::V4;
  std::uint8_t protocol = 0;
  bool raw = false;
  bool mini = false;             ///< has no socket, no owner, and none of struct sock's own members
  std::optional<bool> ipv6_only; ///< nullopt: this kernel's types do not tell
  SocketState state = SocketState::Unknown; ///< as /proc/net shows it
  Endpoint local; ///< raw: the port is the protocol number, as in /proc/net/raw
  Endpoint remote;
  GuestVirtual net;
  GuestVirtual socket; ///< struct socket, null while no file stands for it
  ListLinks links;     ///< in its hash chain
  std::optional<std::uint32_t> uid;
  /// Somebody in the kernel works on it, and it may be between two states. Unknown counts as true.
  bool is_locked = true;

  /// Same connection: what must not change between two reads of one sock.
  [[nodiscard]] bool is_same_flow(const Sock &other) const {
    return address == other.address && net == other.net && protocol == other.protocol &&
           local == other.local && remote == other.remote;
  }
};

inline constexpr std::uint16_t kFamilyInet = 2, kFamilyInet6 = 10; ///< AF_INET, AF_INET6

/// Local and remote end out of the copy of a sock of that family.
[[nodiscard]] std::pair<Endpoint, Endpoint> ends_of(const ObjectCopy &copy, IpFamily family,
                                                    const SocketLayout &layout);
/// By the kernel's number; one that it does not have is Unknown.
[[nodiscard]] SocketState state_from(std::uint64_t number);

class SockReader {
public:
  explicit SockReader(const SocketLayout &layout)
      : layout_(layout), full_(layout.sock), common_(layout.sock_common) {}

  /// NotFound for a socket of another family (unix, netlink, ...) or a protocol beyond 8 bits.
  [[nodiscard]] Result<Sock> read(GuestVirtual address, KernelReader &reader);
  /// The copy of the last read(): its chain links are there also when it answered NotFound.
  [[nodiscard]] ListLinks links() const { return links_; }

private:
  [[nodiscard]] Result<Sock> decode(const ObjectCopy &copy, bool is_full);

  const SocketLayout &layout_;
  ObjectCopy full_;
  ObjectCopy common_;
  ListLinks links_;
};

} // namespace outguard::guest
