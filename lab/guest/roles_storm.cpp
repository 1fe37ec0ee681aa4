// Processes and sockets that come and go as fast as they can, and tell whose they are.

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFirstPort = 20000; // a churning process's port is this and its pid
constexpr int kMostPids = 32768;  // the kernel's pid_max with few processors
constexpr long kMostWorkers = 64;
constexpr int kChildrenAtOnce = 4; // of one worker

void name_itself(const std::string &prefix) {
  prctl(PR_SET_NAME, (prefix + std::to_string(getpid())).c_str());
}

// One line a connection, whole or not at all: PID LOCAL_PORT, port 0 when it failed.
void connect_once(const Endpoint &destination, int log, bool reads_answer) {
  const int connection = try_connect(destination);
  const int port = connection < 0 ? 0 : local_port(connection);
  const std::string line = std::to_string(getpid()) + " " + std::to_string(port) + "\n";
  [[maybe_unused]] const ssize_t written = write(log, line.data(), line.size());
  if (connection >= 0 && send_all(connection, "once\n") && reads_answer) {
    char answer[16];
    [[maybe_unused]] const ssize_t count = recv(connection, answer, sizeof answer, 0);
  }
}

// DEST COUNT INTERVAL LOG [tell]: COUNT connections, each of a process of its own that connects,
// sends a line, reads its echo (with `tell` it does not), and ends. LOG gets the guest's own record
// of them, and "end" when all are over.
int forking_clients(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0));
  const long count = parse_number(arguments.at(1));
  const Duration interval = parse_seconds(arguments.at(2));
  const bool reads_answer = arguments.size() < 5 || arguments[4] != "tell";
  const int log =
      open(arguments.at(3).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0)
    fail(arguments.at(3));
  ready();
  const auto start = Clock::now();
  for (long number = 0; number < count; ++number) {
    const pid_t child = fork();
    if (child == 0) {
      connect_once(destination, log, reads_answer);
      _exit(0);
    }
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const auto due = start + (number + 1) * interval;
    if (const auto now = Clock::now(); now < due)
      sleep_for(std::chrono::duration_cast<Duration>(due - now));
  }
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  if (write(log, "end\n", 4) != 4)
    fail("log");
  stay();
}

int bound_socket(int type, const std::string &address) {
  const int socket = make_socket(AF_INET, type | SOCK_CLOEXEC);
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int port = kFirstPort + getpid() % kMostPids;
  const Endpoint local = parse_endpoint(address + ":" + std::to_string(port));
  return bind(socket, local.address(), local.length) == 0 ? socket : -1;
}

// Ends with a reset: nothing is left behind that only looks like this process's.
void close_at_once(int socket) {
  const linger hard{1, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(socket);
}

// Binds, listens, connects to itself, accepts, closes: all on the port that tells its pid.
void use_sockets() {
  const int datagrams = bound_socket(SOCK_DGRAM, "127.0.0.1");
  const int listener = bound_socket(SOCK_STREAM, "127.0.0.1");
  const int client = bound_socket(SOCK_STREAM, "127.0.0.2");
  if (datagrams < 0 || listener < 0 || client < 0 || listen(listener, 1) != 0)
    return; // the pid's last owner still has the port
  const Endpoint self =
      parse_endpoint("127.0.0.1:" + std::to_string(kFirstPort + getpid() % kMostPids));
  if (connect(client, self.address(), self.length) == 0) {
    const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    send_all(client, "me\n");
    close_at_once(accepted);
  }
  close_at_once(client);
  close(listener);
}

// PID PARENT: what a churning process becomes by exec; its arguments tell who it must be.
int churn_again(const Arguments &) {
  name_itself("x");
  use_sockets();
  return 0;
}

[[noreturn]] void churn_once(bool becomes_another) {
  const pid_t parent = getppid();
  name_itself("p");
  use_sockets();
  if (becomes_another) {
    const std::string pid = std::to_string(getpid()), parent_pid = std::to_string(parent);
    setenv(kRoleVariable, "churn-again", 1);
    execl("/proc/self/exe", "churn-again", pid.c_str(), parent_pid.c_str(), nullptr);
  }
  _exit(0);
}

// WORKERS: each forks children as fast as it can; every other one executes itself anew. A child is
// named p (then x) and its pid, and all its sockets have port 20000 + pid.
int churn(const Arguments &arguments) {
  const long workers = std::min(parse_number(arguments.at(0)), kMostWorkers);
  ready(); // before there is more than one
  for (long worker = 1; worker < workers; ++worker) {
    if (fork() == 0)
      break;
  }
  int running = 0;
  for (unsigned long number = 0;; ++number) {
    const pid_t child = fork();
    if (child == 0)
      churn_once(number % 2 == 1);
    running += child > 0 ? 1 : 0;
    while (running >= kChildrenAtOnce && waitpid(-1, nullptr, 0) > 0)
      --running;
  }
}

} // namespace

std::vector<Role> storm_roles() {
  return {
      {"forking-clients", "DEST COUNT INTERVAL LOG [tell]", forking_clients},
      {"churn", "WORKERS", churn},
      {"churn-again", "PID PARENT", churn_again},
  };
}

} // namespace lab
