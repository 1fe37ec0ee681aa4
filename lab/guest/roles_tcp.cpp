// TCP over IPv4 and IPv6: the plain talkers and listeners.

#include <cerrno>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include "net.h"
#include "report.h"
#include "roles.h"

namespace lab {
namespace {

constexpr size_t kMaxConnections = 4096;

// Accepts and echoes, one process for all connections.
int echo_server(const Arguments &arguments) {
  const int listener = listen_at(parse_endpoint(arguments.at(0)), 128);
  announce("port", local_port(listener));
  TalkCounter talk("tcp-listener");
  ready();
  std::vector<pollfd> watched{{listener, POLLIN, 0}};
  for (;;) {
    if (poll(watched.data(), watched.size(), -1) < 0)
      continue;
    for (size_t at = watched.size() - 1; at > 0; --at) {
      if (watched[at].revents == 0)
        continue;
      char buffer[4096];
      const ssize_t count = recv(watched[at].fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count < 0 && errno == EAGAIN)
        continue;
      if (count > 0 && send_all(watched[at].fd, std::string(buffer, static_cast<size_t>(count)))) {
        talk.count();
        continue;
      }
      close(watched[at].fd);
      watched.erase(watched.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (watched[0].revents != 0) {
      const int connection = accept(listener, nullptr, nullptr);
      if (connection >= 0 && watched.size() < kMaxConnections)
        watched.push_back({connection, POLLIN, 0});
    }
  }
}

int tcp_client(const Arguments &arguments) {
  chat_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), "tcp-client");
}

int chat6_client(const Arguments &arguments) {
  chat_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), "chat6");
}

int mapped_client(const Arguments &arguments) {
  chat_forever(mapped_to_ipv6(parse_endpoint(arguments.at(0))), parse_seconds(arguments.at(1)),
               "mapped-client");
}

} // namespace

std::vector<Role> tcp_roles() {
  return {
      {"tcp-listener", "ADDRESS:PORT", echo_server},
      {"listener6", "[ADDRESS]:PORT", echo_server},
      {"tcp-client", "DEST INTERVAL", tcp_client},
      {"chat6", "[DEST]:PORT INTERVAL", chat6_client},
      {"mapped-client", "DEST INTERVAL", mapped_client},
  };
}

} // namespace lab
