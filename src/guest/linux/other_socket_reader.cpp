#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>

#include "guest/linux/other_sockets.h"

namespace outguard::guest {
namespace {

constexpr std::uint16_t kFamilyUnix = 1, kFamilyNetlink = 16, kFamilyPacket = 17, kFamilyVsock = 40;
constexpr std::uint64_t kFamilyBytes = 2;     ///< sockaddr_un.sun_family
constexpr std::uint64_t kMostNameBytes = 110; ///< sizeof(struct sockaddr_un)
constexpr std::size_t kDeviceNameBytes = 16;  ///< IFNAMSIZ
constexpr std::uint32_t kAny = 0xffff'ffff;   ///< VMADDR_CID_ANY, VMADDR_PORT_ANY
constexpr int kMostTries = 3;

std::string until_nul(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), std::ranges::find(bytes, std::uint8_t{0})};
}

/// struct sockaddr_vm (include/uapi/linux/vm_sockets.h): family, 0, port, CID, ...
struct VsockAddress {
  std::uint16_t family = 0, reserved = 0;
  std::uint32_t port = 0, cid = 0, flags = 0;

  [[nodiscard]] GuestText text() const {
    if (port == kAny) {
      return {};
    }
    return GuestText((cid == kAny ? "*" : std::to_string(cid)) + ":" + std::to_string(port));
  }
};
static_assert(sizeof(VsockAddress) == 16);

} // namespace

OtherSocketReader::OtherSocketReader(const LinuxLayout &layout, const TypeTable &types)
    : layout_(layout), sock_size_(types.size_of("sock").value_or(0)) {
  const auto when_whole = [&](const char *family, const std::string &missing, auto &into,
                              const auto &found) {
    if (missing.empty()) {
      into = found;
    } else {
      lacking_.push_back(std::string("addresses of ") + family + " sockets: the kernel lacks " +
                         missing);
    }
  };
  if (std::string missing; true) {
    Unix found;
    StructBinder sock(types, "unix_sock", missing), address(types, "unix_address", missing);
    found.address = sock.pointer("addr");
    found.peer = sock.pointer("peer");
    found.sock = sock.extent();
    found.length = address.number("len");
    found.name = address.place("name").offset;
    found.unix_address = address.extent();
    when_whole("unix", missing, unix_, found);
  }
  if (std::string missing; true) {
    Netlink found;
    StructBinder sock(types, "netlink_sock", missing);
    found.port = sock.number("portid");
    found.group_count = sock.number("ngroups");
    found.groups = sock.pointer("groups");
    found.sock = sock.extent();
    when_whole("netlink", missing, netlink_, found);
  }
  if (std::string missing; true) {
    Packet found;
    StructBinder sock(types, "packet_sock", missing);
    found.protocol = sock.bytes("num", 2);
    found.device = sock.pointer("prot_hook.dev");
    found.sock = sock.extent();
    found.device_name = StructBinder(types, "net_device", missing).place("name").offset;
    when_whole("packet", missing, packet_, found);
  }
}

Result<OtherSocket> OtherSocketReader::read(GuestVirtual sock, KernelReader &reader) const {
  // A socket is bound or connected under us: what was read must be there twice.
  auto before = read_once(sock, reader);
  for (int tries = 1; tries < kMostTries; ++tries) {
    reader.renew();
    auto now = read_once(sock, reader);
    if (before && now && now->socket == before->socket && now->net == before->net &&
        now->seen.family == before->seen.family && now->seen.local == before->seen.local &&
        now->seen.remote == before->seen.remote) {
      return now;
    }
    if (!before && !now) {
      return now;
    }
    before = std::move(now);
  }
  return before ? fault(FaultCode::Malformed, sock.raw()) : std::move(before);
}

Result<OtherSocket> OtherSocketReader::read_once(GuestVirtual address, KernelReader &reader) const {
  const SocketLayout &layout = layout_.socket;
  ObjectCopy copy(layout.sock);
  if (const auto loaded = copy.load(reader, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  OtherSocket found{{}, copy.pointer(layout.net), copy.pointer(layout.socket_of_sock)};
  OtherSocketSeen &seen = found.seen;
  seen.sock = address.raw();
  seen.family = static_cast<std::uint16_t>(copy.number(layout.family));
  seen.type = static_cast<std::uint16_t>(copy.number(layout.type));
  seen.protocol = static_cast<std::uint16_t>(copy.number(layout.protocol));
  seen.state = state_from(copy.number(layout.state));
  if (layout.uid) {
    seen.uid = static_cast<std::uint32_t>(copy.number(*layout.uid));
  }
  Result<void> done;
  if (seen.family == kFamilyInet || seen.family == kFamilyInet6) {
    if (seen.protocol <= UINT8_MAX) {
      return fault(FaultCode::NotFound, address.raw());
    }
    const auto [local, remote] =
        ends_of(copy, seen.family == kFamilyInet ? IpFamily::V4 : IpFamily::V6, layout);
    seen.local = GuestText(local.to_string());
    seen.remote = GuestText(remote.to_string());
  } else if (seen.family == kFamilyUnix && unix_) {
    done = add_unix(address, reader, seen);
  } else if (seen.family == kFamilyNetlink && netlink_) {
    done = add_netlink(address, reader, seen);
  } else if (seen.family == kFamilyPacket && packet_) {
    done = add_packet(address, reader, seen);
  } else if (seen.family == kFamilyVsock) {
    done = add_vsock(address, reader, seen);
  }
  if (!done) {
    return tl::unexpected(done.error());
  }
  return found;
}

Result<std::uint64_t> OtherSocketReader::inode_of(GuestVirtual sock, KernelReader &reader) const {
  const auto socket = reader.pointer(sock.plus_wrapping(layout_.socket.socket_of_sock.offset));
  if (!socket || socket->is_null()) {
    return socket ? Result<std::uint64_t>(0) : tl::unexpected(socket.error());
  }
  ObjectCopy copy(layout_.socket.socket);
  const auto loaded = copy.load(reader, socket->minus_wrapping(layout_.socket.socket_in_alloc));
  return loaded ? Result<std::uint64_t>(copy.number(layout_.socket.socket_inode))
                : tl::unexpected(loaded.error());
}

Result<GuestText> OtherSocketReader::unix_name(GuestVirtual address, KernelReader &reader) const {
  ObjectCopy copy(unix_->unix_address);
  if (const auto loaded = copy.load(reader, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const std::uint64_t length = copy.number(unix_->length);
  if (length <= kFamilyBytes || length > kMostNameBytes) {
    return length == kFamilyBytes ? Result<GuestText>(GuestText())
                                  : fault(FaultCode::Malformed, address.raw());
  }
  std::array<std::uint8_t, kMostNameBytes> space{};
  const auto name = std::span(space).first(length - kFamilyBytes);
  if (const auto read = reader.read(address.plus_wrapping(unix_->name + kFamilyBytes), name);
      !read) {
    return tl::unexpected(read.error());
  }
  if (name.front() == 0) { // abstract: every byte counts, NUL too
    return GuestText("@" + std::string(name.begin() + 1, name.end()));
  }
  return GuestText(until_nul(name));
}

Result<void> OtherSocketReader::add_unix(GuestVirtual sock, KernelReader &reader,
                                         OtherSocketSeen &seen) const {
  ObjectCopy copy(unix_->sock);
  if (const auto loaded = copy.load(reader, sock); !loaded) {
    return loaded;
  }
  if (const GuestVirtual address = copy.pointer(unix_->address); !address.is_null()) {
    auto name = unix_name(address, reader);
    if (!name) {
      return tl::unexpected(name.error());
    }
    seen.local = std::move(*name);
  }
  if (const GuestVirtual peer = copy.pointer(unix_->peer); !peer.is_null()) {
    const auto inode = inode_of(peer, reader);
    if (!inode) {
      return tl::unexpected(inode.error());
    }
    seen.remote = GuestText(*inode == 0 ? std::string() : std::to_string(*inode));
  }
  return {};
}

Result<void> OtherSocketReader::add_netlink(GuestVirtual sock, KernelReader &reader,
                                            OtherSocketSeen &seen) const {
  ObjectCopy copy(netlink_->sock);
  if (const auto loaded = copy.load(reader, sock); !loaded) {
    return loaded;
  }
  seen.local = GuestText(std::to_string(copy.number(netlink_->port)));
  seen.groups = 0;
  const GuestVirtual groups = copy.pointer(netlink_->groups);
  if (copy.number(netlink_->group_count) != 0 && !groups.is_null()) {
    const auto first = reader.pointer(groups); // an array of unsigned long
    if (!first) {
      return tl::unexpected(first.error());
    }
    seen.groups = static_cast<std::uint32_t>(first->raw());
  }
  return {};
}

Result<void> OtherSocketReader::add_packet(GuestVirtual sock, KernelReader &reader,
                                           OtherSocketSeen &seen) const {
  ObjectCopy copy(packet_->sock);
  if (const auto loaded = copy.load(reader, sock); !loaded) {
    return loaded;
  }
  const auto protocol = copy.bytes(packet_->protocol);
  seen.protocol = static_cast<std::uint16_t>(protocol[0] << 8 | protocol[1]);
  if (const GuestVirtual device = copy.pointer(packet_->device); !device.is_null()) {
    std::array<std::uint8_t, kDeviceNameBytes> name{};
    if (const auto read = reader.read(device.plus_wrapping(packet_->device_name), name); !read) {
      return read;
    }
    seen.local = GuestText(until_nul(name));
  } // else every interface
  return {};
}

/// struct vsock_sock is a module's, and the kernel's own types lack it: it is struct sock, then,
/// behind at most a few pointers, the local and the remote sockaddr_vm, which say their family.
Result<void> OtherSocketReader::add_vsock(GuestVirtual sock, KernelReader &reader,
                                          OtherSocketSeen &seen) const {
  constexpr std::size_t kStep = 8, kLast = 32;
  std::array<std::uint8_t, kLast + 2 * sizeof(VsockAddress)> bytes{};
  if (sock_size_ == 0) {
    return {};
  }
  if (const auto read = reader.read(sock.plus_wrapping(sock_size_), bytes); !read) {
    return read;
  }
  for (std::size_t at = 0; at <= kLast; at += kStep) {
    std::array<VsockAddress, 2> ends;
    std::memcpy(ends.data(), bytes.data() + at, sizeof ends);
    if (ends[0].family == kFamilyVsock && ends[1].family == kFamilyVsock && ends[0].reserved == 0 &&
        ends[1].reserved == 0) {
      seen.local = ends[0].text();
      seen.remote = ends[1].text();
      return {};
    }
  }
  return {};
}

} // namespace outguard::guest
