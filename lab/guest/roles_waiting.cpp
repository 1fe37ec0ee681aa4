// Processes that wait, each where a signal has to find it.

#include <atomic>
#include <csignal>
#include <thread>

#include <linux/futex.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

// HOW: epoll, futex, blocked (all signals), stopped.
int waiter(const Arguments &arguments) {
  const std::string &how = arguments.at(0);
  if (how == "blocked") {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
  }
  ready();
  const int watch = epoll_create1(0);
  int word = 0;
  for (;;) {
    epoll_event event{};
    if (how == "stopped")
      raise(SIGSTOP);
    else if (how == "epoll")
      epoll_wait(watch, &event, 1, -1);
    else if (how == "futex")
      syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
    else
      pause();
  }
}

// COUNT: threads that all sleep, the first one among them.
int threads(const Arguments &arguments) {
  const long count = parse_number(arguments.at(0));
  std::atomic<long> begun = 1;
  for (long number = 1; number < count; ++number)
    std::thread([&begun] {
      ++begun;
      stay();
    }).detach();
  while (begun < count)
    sleep_for(std::chrono::milliseconds(1));
  stay_ready();
}

// Its child is traced, and stands in a stop that the tracer never ends.
int tracer(const Arguments &) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    stay();
  }
  waitpid(child, nullptr, WUNTRACED);
  announce("child", child);
  stay_ready();
}

// The parent waits for what its child never does.
int vfork_parent(const Arguments &) {
  if (vfork() == 0) { // in its parent's memory, so that it can speak for it
    announce("child", getpid());
    stay_ready();
  }
  stay();
}

// Leads a session, with a process in it.
int session_leader(const Arguments &) {
  setsid();
  const pid_t child = fork();
  if (child == 0)
    stay();
  announce("child", child);
  stay_ready();
}

// The first process of its pid namespace, with another one in it.
int first_of_namespace(const Arguments &) {
  if (unshare(CLONE_NEWPID) != 0)
    fail("unshare");
  const pid_t first = fork();
  if (first == 0) {
    if (fork() == 0)
      stay();
    stay();
  }
  announce("child", first);
  stay_ready();
}

} // namespace

std::vector<Role> waiting_roles() {
  return {
      {"waiter", "epoll|futex|blocked|stopped", waiter},
      {"threads", "COUNT", threads},
      {"tracer", "", tracer},
      {"vfork-parent", "", vfork_parent},
      {"session-leader", "", session_leader},
      {"first-of-namespace", "", first_of_namespace},
  };
}

} // namespace lab
