#include "net.h"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/time.h>
#include <unistd.h>

namespace lab {
namespace {

constexpr timeval kPatience{5, 0};

// One byte over a unix socket, with room for one descriptor.
struct DescriptorMessage {
  DescriptorMessage() {
    header.msg_iov = &content;
    header.msg_iovlen = 1;
    header.msg_control = space;
    header.msg_controllen = sizeof space;
  }
  DescriptorMessage(const DescriptorMessage &) = delete;
  DescriptorMessage &operator=(const DescriptorMessage &) = delete;

  char byte = 'x';
  iovec content{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
};

} // namespace

Endpoint parse_endpoint(const std::string &text) {
  Endpoint endpoint;
  const size_t colon = text.rfind(':');
  errno = EINVAL;
  if (colon == std::string::npos)
    fail("endpoint " + text);
  std::string host = text.substr(0, colon);
  const auto port = htons(static_cast<uint16_t>(parse_number(text.substr(colon + 1))));
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  auto *ipv4 = reinterpret_cast<sockaddr_in *>(&endpoint.storage);
  auto *ipv6 = reinterpret_cast<sockaddr_in6 *>(&endpoint.storage);
  if (inet_pton(AF_INET, host.c_str(), &ipv4->sin_addr) == 1) {
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = port;
    endpoint.length = sizeof *ipv4;
  } else if (inet_pton(AF_INET6, host.c_str(), &ipv6->sin6_addr) == 1) {
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = port;
    endpoint.length = sizeof *ipv6;
  } else {
    fail("endpoint " + text);
  }
  return endpoint;
}

Endpoint mapped_to_ipv6(const Endpoint &ipv4) {
  const auto *from = reinterpret_cast<const sockaddr_in *>(&ipv4.storage);
  Endpoint mapped;
  auto *to = reinterpret_cast<sockaddr_in6 *>(&mapped.storage);
  to->sin6_family = AF_INET6;
  to->sin6_port = from->sin_port;
  to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(to->sin6_addr.s6_addr + 12, &from->sin_addr, sizeof from->sin_addr);
  mapped.length = sizeof *to;
  return mapped;
}

int make_socket(int family, int type, int protocol) {
  const int made = socket(family, type, protocol);
  if (made < 0)
    fail("socket");
  setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return made;
}

int try_connect(const Endpoint &destination) {
  const int made = make_socket(destination.family(), SOCK_STREAM);
  if (connect(made, destination.address(), destination.length) == 0)
    return made;
  close(made);
  return -1;
}

int connected_to(const std::string &destination) {
  const int connection = try_connect(parse_endpoint(destination));
  if (connection < 0)
    fail("connect to " + destination);
  return connection;
}

void send_away(int channel, int descriptor) {
  DescriptorMessage message;
  cmsghdr *header = CMSG_FIRSTHDR(&message.header);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  if (sendmsg(channel, &message.header, 0) != 1)
    fail("sendmsg");
  close(descriptor);
}

int receive_descriptor(int channel) {
  DescriptorMessage message;
  if (recvmsg(channel, &message.header, 0) != 1 || CMSG_FIRSTHDR(&message.header) == nullptr)
    fail("recvmsg");
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message.header)), sizeof descriptor);
  return descriptor;
}

int listen_at(const Endpoint &local, int backlog) {
  const int made = make_socket(local.family(), SOCK_STREAM);
  const int yes = 1;
  setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(made, local.address(), local.length) != 0)
    fail("bind");
  if (listen(made, backlog) != 0)
    fail("listen");
  return made;
}

int local_port(int socket) {
  Endpoint local;
  local.length = sizeof local.storage;
  if (getsockname(socket, reinterpret_cast<sockaddr *>(&local.storage), &local.length) != 0)
    return 0;
  // The port stands at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in *>(&local.storage)->sin_port);
}

bool send_all(int socket, const std::string &text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = send(socket, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (count <= 0)
      return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

void chat_over(int socket, Duration interval, TalkCounter &counter) {
  for (unsigned long number = 1;; ++number) {
    if (!send_all(socket, "line " + std::to_string(number) + "\n"))
      return;
    char echo[256];
    if (recv(socket, echo, sizeof echo, 0) <= 0)
      return;
    counter.count();
    sleep_for(interval);
  }
}

void chat_forever(const Endpoint &destination, Duration interval, const std::string &role) {
  TalkCounter counter(role);
  for (;;) {
    const int connection = try_connect(destination);
    ready();
    if (connection >= 0) {
      chat_over(connection, interval, counter);
      close(connection);
    }
    sleep_for(interval);
  }
}

void sleep_for(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(duration - seconds);
  const timespec wanted{static_cast<time_t>(seconds.count()), static_cast<long>(rest.count())};
  nanosleep(&wanted, nullptr);
}

void stay() {
  for (;;)
    pause();
}

void stay_ready() {
  ready();
  stay();
}

} // namespace lab
