// Sockets that a process holds in other ways than by an open descriptor of its main thread.

#include <cstring>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

struct Pair {
  int sender, receiver;
};

Pair make_pair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type, 0, ends) != 0)
    fail("socketpair");
  return {ends[0], ends[1]};
}

int in_flight(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  const Pair pair = make_pair(SOCK_STREAM);
  send_away(pair.sender, connection);
  announce("fd", pair.receiver);
  stay_ready();
}

// The connection waits in a unix socket that itself waits in another one, which also has itself in
// its queue: a cycle.
int in_flight_nested(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  const Pair inner = make_pair(SOCK_DGRAM), outer = make_pair(SOCK_DGRAM);
  send_away(inner.sender, connection);
  send_away(outer.sender, inner.receiver);
  send_away(outer.sender, dup(outer.receiver));
  announce("fd", outer.receiver);
  stay_ready();
}

// Sent over a connection that nobody has accepted yet.
int in_flight_unaccepted(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  const int listener = make_socket(AF_UNIX, SOCK_STREAM),
            client = make_socket(AF_UNIX, SOCK_STREAM);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "in-flight-" + std::to_string(getpid());
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(listener, reinterpret_cast<sockaddr *>(&address), length) != 0 ||
      listen(listener, 1) != 0 ||
      connect(client, reinterpret_cast<sockaddr *>(&address), length) != 0)
    fail("unix listener");
  send_away(client, connection);
  announce("fd", listener);
  stay_ready();
}

int make_ring() {
  io_uring_params parameters{};
  const long ring = syscall(SYS_io_uring_setup, 4, &parameters);
  if (ring < 0)
    fail("io_uring_setup");
  return static_cast<int>(ring);
}

// Registers `descriptor` with the ring, beside an empty slot, and closes it.
void register_away(int ring, int descriptor) {
  const int files[] = {-1, descriptor};
  if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, files, 2) != 0)
    fail("io_uring_register");
  close(descriptor);
}

int in_ring(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  const int ring = make_ring();
  register_away(ring, connection);
  announce("fd", ring);
  stay_ready();
}

// The ring has no descriptor either: the task uses it by its index (since 5.18).
int in_hidden_ring(const Arguments &arguments) {
  constexpr unsigned kRegisterRings = 20; // IORING_REGISTER_RING_FDS, newer than Debian's header
  struct {
    unsigned offset, reserved;
    unsigned long long data;
  } update{~0U, 0, 0};
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  const int ring = make_ring();
  register_away(ring, connection);
  update.data = static_cast<unsigned long long>(ring);
  if (syscall(SYS_io_uring_register, ring, kRegisterRings, &update, 1) != 1)
    fail("register the ring");
  close(ring);
  stay_ready();
}

// The parent watches by epoll what only the child has open: epoll holds nothing.
int epoll_watch(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  const int watch = epoll_create1(0);
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  if (epoll_ctl(watch, EPOLL_CTL_ADD, connection, &wanted) != 0)
    fail("epoll_ctl");
  const pid_t child = fork();
  if (child == 0) {
    close(watch);
    stay();
  }
  close(connection);
  announce("child", child);
  stay_ready();
}

// The parent takes a copy of its child's socket without being given it.
int pidfd_copy(const Arguments &arguments) {
  int done[2];
  if (pipe(done) != 0)
    fail("pipe");
  const pid_t child = fork();
  if (child == 0) {
    const int connection = connected_to(arguments.at(0));
    if (write(done[1], &connection, sizeof connection) != sizeof connection)
      fail("pipe");
    stay();
  }
  int descriptor = -1;
  if (read(done[0], &descriptor, sizeof descriptor) != sizeof descriptor)
    fail("pipe");
  const auto process = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  const auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, process, descriptor, 0));
  if (copy < 0)
    fail("pidfd_getfd");
  announce("port", local_port(copy));
  announce("child", child);
  stay_ready();
}

// The group's leader has ended; a thread goes on, and holds the socket.
int leaderless(const Arguments &arguments) {
  const int connection = connected_to(arguments.at(0));
  announce("port", local_port(connection));
  std::thread([leader = getpid()] {
    const std::string stat = "/proc/self/task/" + std::to_string(leader) + "/stat";
    while (read_file(stat).find(") Z") == std::string::npos)
      sleep_for(std::chrono::milliseconds(1));
    stay_ready();
  }).detach();
  syscall(SYS_exit, 0); // of this thread alone
  return 1;
}

// A sniffer that no descriptor leads to.
int sniffer_in_flight(const Arguments &) {
  const int sniffer = make_socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  const Pair pair = make_pair(SOCK_DGRAM);
  send_away(pair.sender, sniffer);
  announce("fd", pair.receiver);
  stay_ready();
}

} // namespace

std::vector<Role> holding_roles() {
  return {
      {"in-flight", "DEST", in_flight},
      {"in-flight-nested", "DEST", in_flight_nested},
      {"in-flight-unaccepted", "DEST", in_flight_unaccepted},
      {"in-ring", "DEST", in_ring},
      {"in-hidden-ring", "DEST", in_hidden_ring},
      {"epoll-watch", "DEST", epoll_watch},
      {"pidfd-copy", "DEST", pidfd_copy},
      {"leaderless", "DEST", leaderless},
      {"sniffer-in-flight", "", sniffer_in_flight},
  };
}

} // namespace lab
