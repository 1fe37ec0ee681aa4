#include "respond/packet_injector.h"

#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "hypervisor/network_namespace.h"

namespace outguard::respond {

namespace {

Result<Fd> packet_socket() {
  Fd opened(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // protocol 0: receives nothing
  if (!opened) {
    return fail_errno("packet socket");
  }
  return opened;
}

Result<void> send_frame(int socket, int index, const Frame &frame, const char *where) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = index;
  const ssize_t sent = ::sendto(socket, frame.data(), frame.size(), MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr *>(&address), sizeof address);
  return sent == static_cast<ssize_t>(frame.size())
             ? Result<void>()
             : Result<void>(fail_errno(std::string("send on ") + where));
}

std::optional<MacAddress> mac_of(int socket, int index) {
  struct ifreq request {};
  request.ifr_ifindex = index;
  if (::ioctl(socket, SIOCGIFNAME, &request) != 0 ||
      ::ioctl(socket, SIOCGIFHWADDR, &request) != 0) {
    return std::nullopt;
  }
  MacAddress mac{};
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

} // namespace

Result<PacketInjector> PacketInjector::open(const Fd &netns, const std::string &tap) {
  return hypervisor::in_namespace(netns, [&] { return open_here(tap); });
}

Result<PacketInjector> PacketInjector::open_here(const std::string &tap) {
  auto kernel = RouteNetlink::open();
  if (!kernel) {
    return tl::unexpected(kernel.error());
  }
  PacketInjector injector(std::move(*kernel));
  injector.tap_.index = static_cast<int>(::if_nametoindex(tap.c_str()));
  if (injector.tap_.index == 0) {
    return fail(ErrorCode::NotFound, "no network device " + tap);
  }
  auto socket = packet_socket();
  if (!socket) {
    return tl::unexpected(socket.error());
  }
  injector.tap_.socket = std::move(*socket);
  const int on = 1;
  if (::setsockopt(injector.tap_.socket.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) !=
      0) {
    return fail_errno("PACKET_QDISC_BYPASS");
  }
  if (::setsockopt(injector.tap_.socket.get(), SOL_SOCKET, SO_MARK, &kOwnPacketMark,
                   sizeof kOwnPacketMark) != 0) {
    return fail_errno("SO_MARK");
  }
  const auto master = injector.kernel_.bridge_of(injector.tap_.index);
  if (!master) {
    return tl::unexpected(master.error());
  }
  if (*master != 0) {
    auto bridge = packet_socket();
    const auto mac = bridge ? mac_of(bridge->get(), *master) : std::nullopt;
    if (!mac) {
      return fail_errno("the bridge of tap " + tap);
    }
    injector.bridge_ = {std::move(*bridge), *master};
    injector.bridge_mac_ = *mac;
  }
  // Absent without IPv6: then no such flow either.
  injector.raw4_ = Fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  injector.raw6_ = Fd(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  return injector;
}

Result<void> PacketInjector::to_guest(const Frame &frame) const {
  return send_frame(tap_.socket.get(), tap_.index, frame, "the tap");
}

/// A frame to the bridge's own address would leave it for nowhere.
bool PacketInjector::goes_by_routing(const FlowSeen &flow) const {
  return !bridge_.socket || flow.remote_mac == bridge_mac_;
}

Result<void> PacketInjector::check_to_remote(const FlowSeen &flow) const {
  if (!goes_by_routing(flow)) {
    return {};
  }
  const auto other = kernel_.leads_to_other_host(flow.tuple.remote.address);
  if (!other) {
    return tl::unexpected(other.error());
  }
  return *other ? Result<void>()
                : fail(ErrorCode::Refused,
                       "the remote end is this host itself or no single host: it is not reset");
}

Result<void> PacketInjector::to_remote(const FlowSeen &flow, const Frame &frame) const {
  if (!goes_by_routing(flow)) {
    return send_frame(bridge_.socket.get(), bridge_.index, frame, "the bridge");
  }
  if (auto checked = check_to_remote(flow); !checked) {
    return checked;
  }
  const auto packet = network_layer(flow, frame);
  const IpAddress &remote = flow.tuple.remote.address;
  const bool v4 = remote.family == IpFamily::V4;
  sockaddr_storage address{};
  if (v4) {
    auto &in = reinterpret_cast<sockaddr_in &>(address);
    in.sin_family = AF_INET;
    std::memcpy(&in.sin_addr, remote.bytes.data(), sizeof in.sin_addr);
  } else {
    auto &in6 = reinterpret_cast<sockaddr_in6 &>(address);
    in6.sin6_family = AF_INET6;
    std::memcpy(&in6.sin6_addr, remote.bytes.data(), sizeof in6.sin6_addr);
  }
  const auto length = static_cast<socklen_t>(v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  const ssize_t sent = ::sendto((v4 ? raw4_ : raw6_).get(), packet.data(), packet.size(),
                                MSG_DONTWAIT, reinterpret_cast<sockaddr *>(&address), length);
  return sent == static_cast<ssize_t>(packet.size())
             ? Result<void>()
             : Result<void>(fail_errno("send to the remote end by the host's routing"));
}

} // namespace outguard::respond
