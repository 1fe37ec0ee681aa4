// Sockets whose owner is not simply the process that made them.

#include <cstring>
#include <thread>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

int connected_or_fail(const Arguments &arguments) {
  const int connection = try_connect(parse_endpoint(arguments.at(0)));
  if (connection < 0)
    fail("connect to " + arguments.at(0));
  return connection;
}

// The parent connects, both hold the socket, the child talks.
int fork_share(const Arguments &arguments) {
  const Duration interval = parse_seconds(arguments.at(1));
  const int connection = connected_or_fail(arguments);
  const pid_t child = fork();
  if (child == 0) {
    TalkCounter counter("fork-share");
    chat_over(connection, interval, counter);
    return 0;
  }
  announce("child", child);
  ready();
  stay();
}

// Sends or receives one descriptor with one byte over a unix socket; -1 when none came.
int pass_descriptor(int channel, int descriptor) {
  char byte = 'x';
  iovec content{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  if (descriptor >= 0) {
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return sendmsg(channel, &message, 0) == 1 ? descriptor : -1;
  }
  if (recvmsg(channel, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == nullptr)
    return -1;
  std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
  return descriptor;
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
    const int connection = pass_descriptor(ends[1], -1);
    if (connection < 0)
      fail("recvmsg");
    for (int tries = 0; getppid() == parent && tries < 5000; ++tries)
      sleep_for(std::chrono::milliseconds(1));
    announce("child", getpid());
    ready();
    TalkCounter counter("fd-handoff");
    chat_over(connection, interval, counter);
    return 0;
  }
  close(ends[1]);
  const int connection = connected_or_fail(arguments);
  return pass_descriptor(ends[0], connection) == connection ? 0 : 1;
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
