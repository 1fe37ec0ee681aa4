// Sockets of every kind that a process can make, one process a kind.

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/dccp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

#ifndef SOL_DCCP
#define SOL_DCCP 269
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace lab {
namespace {

template <class Address> void bind_to(int made, const Address &address, socklen_t length) {
  if (bind(made, reinterpret_cast<const sockaddr *>(&address), length) != 0)
    fail("bind");
}

// `name` is a path, or what follows the NUL of an abstract name.
int unix_socket(int type, const std::string &name, bool is_abstract) {
  const int made = make_socket(AF_UNIX, type);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (is_abstract ? 1 : 0), name.data(), name.size());
  bind_to(made, address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size()));
  return made;
}

int unix_family(const Arguments &) {
  const std::string self = std::to_string(getpid());
  const std::string path = "/tmp/sock \x1b[31m\xff" + self;
  const std::string abstract = std::string("ab\0s\x01\xfe", 6) + self;
  listen(unix_socket(SOCK_STREAM, path, false), 1);
  listen(unix_socket(SOCK_SEQPACKET, "seq-" + self, true), 1);
  unix_socket(SOCK_DGRAM, abstract, true);
  const int client = make_socket(AF_UNIX, SOCK_STREAM); // connected, and not accepted
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(client, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
    fail("connect");
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
    fail("socketpair");
  make_socket(AF_UNIX, SOCK_DGRAM); // nothing done with it
  stay_ready();
}

int netlink_family(const Arguments &) {
  const int route = make_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 0x11;
  bind_to(route, address, sizeof address);
  const int events = make_socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
  address.nl_pid = 77'000'000 + static_cast<unsigned>(getpid());
  address.nl_groups = 1;
  bind_to(events, address, sizeof address);
  stay_ready();
}

// A sniffer on one card, and one of ARP on all.
int packet_family(const Arguments &arguments) {
  const int on_card = make_socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(arguments.at(0).c_str()));
  bind_to(on_card, address, sizeof address);
  make_socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
  stay_ready();
}

int vsock_family(const Arguments &arguments) {
  const int listener = make_socket(AF_VSOCK, SOCK_STREAM);
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = static_cast<unsigned>(parse_number(arguments.at(0)));
  bind_to(listener, address, sizeof address);
  if (listen(listener, 1) != 0)
    fail("listen");
  stay_ready();
}

// Families of which only what all sockets have in common is known.
int other_family(const Arguments &arguments) {
  make_socket(static_cast<int>(parse_number(arguments.at(0))),
              static_cast<int>(parse_number(arguments.at(1))));
  stay_ready();
}

int listen_as(const std::string &local, int protocol) {
  const Endpoint at = parse_endpoint(local);
  const int listener = make_socket(at.family(), SOCK_STREAM, protocol);
  bind_to(listener, at.storage, at.length);
  if (listen(listener, 4) != 0)
    fail("listen");
  return listener;
}

// A protocol over IP with tables of its own.
int dccp_listener(const Arguments &arguments) {
  const Endpoint at = parse_endpoint(arguments.at(0));
  const int listener = make_socket(at.family(), SOCK_DCCP, IPPROTO_DCCP);
  const uint32_t service = htonl(1);
  setsockopt(listener, SOL_DCCP, DCCP_SOCKOPT_SERVICE, &service, sizeof service);
  bind_to(listener, at.storage, at.length);
  if (listen(listener, 1) != 0)
    fail("listen");
  stay_ready();
}

// Listener, client and the accepted end, all of MPTCP.
int mptcp_pair(const Arguments &arguments) {
  const int listener = listen_as(arguments.at(0), IPPROTO_MPTCP);
  const Endpoint server = parse_endpoint(arguments.at(0));
  const int client = make_socket(server.family(), SOCK_STREAM, IPPROTO_MPTCP);
  if (connect(client, server.address(), server.length) != 0 ||
      accept(listener, nullptr, nullptr) < 0)
    fail("mptcp");
  announce("port", local_port(client));
  stay_ready();
}

struct LinkRequest {
  nlmsghdr header{};
  ifinfomsg link{};
  char attributes[128] = {};
};

// Appends one; returns where it is, for those that hold others.
rtattr *append(LinkRequest &request, unsigned short type, const void *content, size_t length) {
  auto *attribute = reinterpret_cast<rtattr *>(reinterpret_cast<char *>(&request) +
                                               NLMSG_ALIGN(request.header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(length));
  if (length != 0)
    std::memcpy(RTA_DATA(attribute), content, length);
  request.header.nlmsg_len += static_cast<unsigned>(RTA_ALIGN(attribute->rta_len));
  return attribute;
}

void close_nest(const LinkRequest &request, rtattr *outer) {
  const auto *end = reinterpret_cast<const char *>(&request) + request.header.nlmsg_len;
  outer->rta_len = static_cast<unsigned short>(end - reinterpret_cast<const char *>(outer));
}

// A tunnel whose UDP socket is the kernel's own.
int kernel_udp(const Arguments &arguments) {
  const uint32_t id = 5;
  const uint16_t port = htons(static_cast<uint16_t>(parse_number(arguments.at(0))));
  LinkRequest request;
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.link);
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
  request.link.ifi_flags = request.link.ifi_change = IFF_UP;
  rtattr *const info = append(request, IFLA_LINKINFO, nullptr, 0);
  append(request, IFLA_INFO_KIND, "vxlan", 6);
  rtattr *const data = append(request, IFLA_INFO_DATA, nullptr, 0);
  append(request, IFLA_VXLAN_ID, &id, sizeof id);
  append(request, IFLA_VXLAN_PORT, &port, sizeof port);
  close_nest(request, data);
  close_nest(request, info);
  const int channel = make_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  struct {
    nlmsghdr header;
    nlmsgerr error;
  } answer{};
  if (send(channel, &request, request.header.nlmsg_len, 0) < 0 ||
      recv(channel, &answer, sizeof answer, 0) < 0)
    fail("netlink");
  if (errno = -answer.error.error; errno != 0)
    fail("vxlan");
  close(channel);
  stay_ready();
}

// Bound, and neither listening nor connected; one with an address, one without.
int bound_only(const Arguments &arguments) {
  for (const std::string &local : arguments) {
    const Endpoint at = parse_endpoint(local);
    bind_to(make_socket(at.family(), SOCK_STREAM), at.storage, at.length);
  }
  stay_ready();
}

// COUNT listeners on one port, TCP and UDP.
int reuseport(const Arguments &arguments) {
  const Endpoint at = parse_endpoint(arguments.at(0));
  for (long left = parse_number(arguments.at(1)); left > 0; --left) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      const int made = make_socket(at.family(), type), on = 1;
      setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
      bind_to(made, at.storage, at.length);
      if (type == SOCK_STREAM && listen(made, 1) != 0)
        fail("listen");
    }
  }
  stay_ready();
}

// The same port twice: IPv4, and IPv6 without IPv4.
int v6only(const Arguments &arguments) {
  const std::string port = arguments.at(0);
  listen_at(parse_endpoint("0.0.0.0:" + port));
  const Endpoint six = parse_endpoint("[::]:" + port);
  const int made = make_socket(AF_INET6, SOCK_STREAM), on = 1;
  setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  bind_to(made, six.storage, six.length);
  if (listen(made, 1) != 0)
    fail("listen");
  stay_ready();
}

// Ping and UDP-Lite sockets, and a raw one of a protocol that nobody speaks.
int datagram_kinds(const Arguments &) {
  const Endpoint any = parse_endpoint("0.0.0.0:0"), lite = parse_endpoint("0.0.0.0:7136");
  bind_to(make_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), any.storage, any.length);
  bind_to(make_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), lite.storage, lite.length);
  make_socket(AF_INET, SOCK_RAW, 253);
  make_socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
  stay_ready();
}

} // namespace

std::vector<Role> family_roles() {
  return {
      {"unix-family", "", unix_family},
      {"netlink-family", "", netlink_family},
      {"packet-family", "CARD", packet_family},
      {"vsock-family", "PORT", vsock_family},
      {"other-family", "FAMILY TYPE", other_family},
      {"dccp-listener", "ADDRESS:PORT", dccp_listener},
      {"mptcp-pair", "ADDRESS:PORT", mptcp_pair},
      {"kernel-udp", "PORT", kernel_udp},
      {"bound-only", "ADDRESS:PORT...", bound_only},
      {"reuseport", "ADDRESS:PORT COUNT", reuseport},
      {"v6only", "PORT", v6only},
      {"datagram-kinds", "", datagram_kinds},
  };
}

} // namespace lab
