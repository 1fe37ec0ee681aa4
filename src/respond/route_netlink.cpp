#include "respond/route_netlink.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace outguard::respond {

namespace {

/// A link's answer has some 2 KiB, more with many virtual functions.
using Reply = std::array<std::uint8_t, 32768>;

/// The attributes of a netlink message, or those nested in one.
template <class Visit> void for_each_attribute(std::span<const std::uint8_t> bytes, Visit visit) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > bytes.size()) {
      return;
    }
    visit(header.rta_type, bytes.subspan(sizeof header, header.rta_len - sizeof header));
    bytes = bytes.subspan(std::min(bytes.size(), std::size_t{RTA_ALIGN(header.rta_len)}));
  }
}

/// What follows the netlink header of the answer, at least `least` bytes; NotFound: the kernel has
/// no answer of type `wanted`.
Result<std::span<const std::uint8_t>> ask(int socket, std::span<const std::uint8_t> request,
                                          unsigned wanted, std::size_t least, Reply &reply) {
  if (::send(socket, request.data(), request.size(), 0) < 0) {
    return fail_errno("netlink request");
  }
  const ssize_t got = ::recv(socket, reply.data(), reply.size(), 0);
  if (got < 0) {
    return fail_errno("netlink answer");
  }
  nlmsghdr header{};
  const auto total = static_cast<std::size_t>(got);
  if (total >= sizeof header) {
    std::memcpy(&header, reply.data(), sizeof header);
  }
  if (header.nlmsg_len < NLMSG_HDRLEN + least || header.nlmsg_len > total ||
      header.nlmsg_type != wanted) {
    return fail(ErrorCode::NotFound, "the kernel knows no such device or route");
  }
  return std::span<const std::uint8_t>(reply).first(header.nlmsg_len).subspan(NLMSG_HDRLEN);
}

template <class Request> std::span<const std::uint8_t> bytes_of(const Request &request) {
  return {reinterpret_cast<const std::uint8_t *>(&request), request.header.nlmsg_len};
}

} // namespace

Result<RouteNetlink> RouteNetlink::open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) {
    return fail_errno("netlink socket");
  }
  return RouteNetlink(std::move(socket));
}

Result<int> RouteNetlink::bridge_of(int index) const {
  struct {
    nlmsghdr header{};
    ifinfomsg link{};
  } request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_index = index;
  alignas(nlmsghdr) Reply reply{};
  const auto answer =
      ask(socket_.get(), bytes_of(request), RTM_NEWLINK, NLMSG_ALIGN(sizeof(ifinfomsg)), reply);
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  int master = 0;
  bool is_bridge = false;
  const auto take_link_info = [&](unsigned type, std::span<const std::uint8_t> value) {
    constexpr std::string_view kBridge("bridge\0", 7);
    is_bridge =
        is_bridge || (type == IFLA_INFO_SLAVE_KIND &&
                      std::equal(value.begin(), value.end(), kBridge.begin(), kBridge.end()));
  };
  for_each_attribute(answer->subspan(NLMSG_ALIGN(sizeof(ifinfomsg))),
                     [&](unsigned type, std::span<const std::uint8_t> value) {
                       if (type == IFLA_MASTER && value.size() >= sizeof master) {
                         std::memcpy(&master, value.data(), sizeof master);
                       } else if (type == IFLA_LINKINFO) {
                         for_each_attribute(value, take_link_info);
                       }
                     });
  return is_bridge ? master : 0;
}

Result<bool> RouteNetlink::leads_to_other_host(const IpAddress &address) const {
  struct {
    nlmsghdr header{};
    rtmsg route{};
    rtattr attribute{};
    std::array<std::uint8_t, 16> destination{};
  } request;
  const auto octets = address.octets();
  std::copy(octets.begin(), octets.end(), request.destination.begin());
  request.attribute.rta_type = RTA_DST;
  request.attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(octets.size()));
  request.route.rtm_family = address.family == IpFamily::V4 ? AF_INET : AF_INET6;
  request.route.rtm_dst_len = static_cast<unsigned char>(8 * octets.size());
  request.header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_SPACE(sizeof(rtmsg)) + request.attribute.rta_len);
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  alignas(nlmsghdr) Reply reply{};
  const auto answer = ask(socket_.get(), bytes_of(request), RTM_NEWROUTE, sizeof(rtmsg), reply);
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  rtmsg route{};
  std::memcpy(&route, answer->data(), sizeof route);
  return route.rtm_type == RTN_UNICAST;
}

} // namespace outguard::respond
