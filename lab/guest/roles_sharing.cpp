// Sockets whose owner is not simply the process that made them.

#include <thread>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

// The parent connects, both hold the socket, the child talks.
int fork_share(const Arguments &arguments) {
  const Duration interval = parse_seconds(arguments.at(1));
  const int connection = connected_to(arguments.at(0));
  const pid_t child = fork();
  if (child == 0) {
    TalkCounter counter("fork-share");
    chat_over(connection, interval, counter);
    return 0;
  }
  announce("child", child);
  stay_ready();
}

// The child is there before the socket, gets it over SCM_RIGHTS, and the parent leaves.
int fd_handoff(const Arguments &arguments) {
  const Duration interval = parse_seconds(arguments.at(1));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
    fail("socketpair");
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const int connection = receive_descriptor(ends[1]);
    for (int tries = 0; getppid() == parent && tries < 5000; ++tries)
      sleep_for(std::chrono::milliseconds(1));
    announce("child", getpid());
    ready();
    TalkCounter counter("fd-handoff");
    chat_over(connection, interval, counter);
    return 0;
  }
  close(ends[1]);
  send_away(ends[0], connected_to(arguments.at(0)));
  return 0;
}

// One of three threads opens the socket and talks.
int thread_socket(const Arguments &arguments) {
  const Duration interval = parse_seconds(arguments.at(1));
  std::thread idle([] { stay(); });
  std::thread talker([&] {
    announce("thread", gettid());
    chat_forever(parse_endpoint(arguments.at(0)), interval, "thread-socket");
  });
  stay();
}

// The socket is in the descriptor table of one thread only: the process's own table does not have
// it.
int thread_unshare(const Arguments &arguments) {
  const Duration interval = parse_seconds(arguments.at(1));
  std::thread talker([&] {
    if (unshare(CLONE_FILES) != 0)
      fail("unshare");
    announce("thread", gettid());
    chat_forever(parse_endpoint(arguments.at(0)), interval, "thread-unshare");
  });
  stay();
}

} // namespace

std::vector<Role> sharing_roles() {
  return {
      {"fork-share", "DEST INTERVAL", fork_share},
      {"fd-handoff", "DEST INTERVAL", fd_handoff},
      {"thread-socket", "DEST INTERVAL", thread_socket},
      {"thread-unshare", "DEST INTERVAL", thread_unshare},
  };
}

} // namespace lab
