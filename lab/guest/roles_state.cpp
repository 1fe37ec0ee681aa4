// Sockets in states that are easy to get wrong, and processes that sleep in different ways.

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

constexpr Duration kMoment = std::chrono::milliseconds(300);

// ADDRESS:PORT COUNT: connections that are established but that nobody accepted, so without inode.
int unaccepted(const Arguments &arguments) {
  const long count = parse_number(arguments.at(1));
  const int listener = listen_at(parse_endpoint(arguments.at(0)), static_cast<int>(count) + 1);
  const int port = local_port(listener);
  announce("port", port);
  for (long number = 0; number < count; ++number)
    connected_to("127.0.0.1:" + std::to_string(port));
  stay_ready();
}

// DEST that never answers: the handshake stays half done.
int syn_sent(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0));
  for (;;) {
    const int waiting = make_socket(destination.family(), SOCK_STREAM);
    fcntl(waiting, F_SETFL, O_NONBLOCK);
    if (connect(waiting, destination.address(), destination.length) != 0 && errno != EINPROGRESS)
      fail("connect");
    ready();
    pollfd wanted{waiting, POLLOUT, 0};
    poll(&wanted, 1, -1); // until the kernel gives up, after two minutes
    close(waiting);
  }
}

// DEST that closes its side (the world's port 9); ours stays open.
int close_wait(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  char buffer[256];
  while (recv(connection, buffer, sizeof buffer, 0) > 0) {
  }
  stay_ready();
}

// DEST that never closes (the world's port 10): an orphan without inode, for the kernel's 60 s.
int fin_wait2_orphan(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  close(connection);
  sleep_for(kMoment);
  stay_ready();
}

// The same state with the descriptor still open.
int fin_wait2(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  shutdown(connection, SHUT_WR);
  sleep_for(kMoment);
  stay_ready();
}

// DEST that closes after us (any echo port): a minisock without owner, for 60 s.
int time_wait(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  shutdown(connection, SHUT_WR);
  char buffer[256];
  while (recv(connection, buffer, sizeof buffer, 0) > 0) {
  }
  close(connection);
  stay_ready();
}

// HOW: pause, sleep, poll, accept or spin.
int sleeper(const Arguments &arguments) {
  const std::string how = arguments.at(0);
  const int listener = how == "accept" ? socket(AF_INET, SOCK_STREAM, 0) : -1;
  if (listener >= 0) {
    listen(listener, 4);
    announce("port", local_port(listener));
  }
  ready();
  volatile unsigned long turns = 0;
  for (;;) {
    if (how == "spin")
      turns = turns + 1;
    else if (how == "sleep")
      sleep_for(std::chrono::hours(1));
    else if (how == "poll")
      poll(nullptr, 0, -1);
    else if (how == "accept")
      close(accept(listener, nullptr, nullptr));
    else
      pause();
  }
}

} // namespace

std::vector<Role> state_roles() {
  return {
      {"unaccepted", "ADDRESS:PORT COUNT", unaccepted},
      {"syn-sent", "DEST", syn_sent},
      {"close-wait", "DEST", close_wait},
      {"fin-wait2", "DEST", fin_wait2},
      {"fin-wait2-orphan", "DEST", fin_wait2_orphan},
      {"time-wait", "DEST", time_wait},
      {"sleeper", "pause|sleep|poll|accept|spin", sleeper},
  };
}

} // namespace lab
