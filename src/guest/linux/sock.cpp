#include "guest/linux/sock.h"

#include <tuple>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kTypeRaw = 3; // SOCK_RAW

constexpr auto kLastState = static_cast<std::uint64_t>(SocketState::NewSynRecv);

} // namespace

SocketState state_from(std::uint64_t number) {
  return number <= kLastState ? static_cast<SocketState>(number) : SocketState::Unknown;
}

std::pair<Endpoint, Endpoint> ends_of(const ObjectCopy &copy, IpFamily family,
                                      const SocketLayout &layout) {
  Endpoint local, remote;
  if (family == IpFamily::V4) {
    local.address = IpAddress::v4(copy.bytes(layout.local_v4).first<4>());
    remote.address = IpAddress::v4(copy.bytes(layout.remote_v4).first<4>());
  } else {
    local.address = IpAddress::v6(copy.bytes(layout.local_v6).first<16>());
    remote.address = IpAddress::v6(copy.bytes(layout.remote_v6).first<16>());
  }
  local.port = static_cast<std::uint16_t>(copy.number(layout.local_port));
  const auto remote_port = copy.bytes(layout.remote_port); // network order
  remote.port = static_cast<std::uint16_t>(remote_port[0] << 8 | remote_port[1]);
  return {local, remote};
}

Result<Sock> SockReader::decode(const ObjectCopy &copy, bool is_full) {
  Sock sock;
  sock.address = copy.address();
  links_ = links_of(copy, layout_.node);
  sock.links = links_;
  const std::uint64_t family = copy.number(layout_.family);
  if (family != kFamilyInet && family != kFamilyInet6) {
    return fault(FaultCode::NotFound, sock.address.raw());
  }
  sock.family = family == kFamilyInet ? IpFamily::V4 : IpFamily::V6;
  sock.net = copy.pointer(layout_.net);
  if (layout_.ipv6_only) {
    sock.ipv6_only = copy.number(*layout_.ipv6_only) != 0;
  }
  std::tie(sock.local, sock.remote) = ends_of(copy, sock.family, layout_);

  // A minisock is recognised before anything that only a whole sock has is looked at.
  sock.state = state_from(copy.number(layout_.state));
  sock.mini = sock.state == SocketState::TimeWait || sock.state == SocketState::NewSynRecv;
  if (sock.mini) {
    sock.protocol = static_cast<std::uint8_t>(IpProtocol::Tcp);
    sock.state = sock.state == SocketState::NewSynRecv
                     ? SocketState::SynRecv
                     : state_from(copy.number(layout_.timewait_substate));
    return sock;
  }
  if (!is_full) {
    return fault(FaultCode::Unmapped, sock.address.raw());
  }
  const std::uint64_t protocol = copy.number(layout_.protocol);
  if (protocol > UINT8_MAX) {
    return fault(FaultCode::NotFound, sock.address.raw());
  }
  sock.protocol = static_cast<std::uint8_t>(protocol);
  sock.raw = copy.number(layout_.type) == kTypeRaw;
  sock.socket = copy.pointer(layout_.socket_of_sock);
  if (layout_.uid) {
    sock.uid = static_cast<std::uint32_t>(copy.number(*layout_.uid));
  }
  sock.is_locked = !layout_.lock_word || !layout_.lock_is_owned ||
                   copy.number(*layout_.lock_word) != 0 || copy.number(*layout_.lock_is_owned) != 0;
  if (sock.raw) {
    sock.remote.port = 0; // whatever connect(2) was told; /proc/net/raw does not show it either
  }
  return sock;
}

Result<Sock> SockReader::read(GuestVirtual address, KernelReader &reader) {
  links_ = {};
  if (full_.load(reader, address)) {
    return decode(full_, true);
  }
  // The last minisock of a page may have nothing behind it.
  if (const auto loaded = common_.load(reader, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return decode(common_, false);
}

} // namespace outguard::guest
