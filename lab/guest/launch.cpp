#include "launch.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "text.h"

namespace lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kReadyTimeout = std::chrono::seconds(20);
constexpr auto kShellTimeout = std::chrono::seconds(30);
constexpr size_t kMaxOutput = 4u << 20;

// Appends what `fd` gives until `is_done`, its end, or the deadline. False at the deadline.
template <typename IsDone>
bool collect(int fd, std::string &text, Clock::time_point deadline, IsDone is_done) {
  while (!is_done() && text.size() < kMaxOutput) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wanted{fd, POLLIN, 0};
    const int found = left.count() > 0 ? poll(&wanted, 1, static_cast<int>(left.count())) : 0;
    if (found == 0)
      return false;
    if (found < 0)
      continue;
    char buffer[4096];
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count <= 0)
      return true;
    text.append(buffer, static_cast<size_t>(count));
  }
  return true;
}

void allow_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGCHLD, SIG_DFL);
}

// In the child: its own session, output into `output`, nothing to read.
void become_background(int output) {
  setsid();
  allow_signals();
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close(output);
}

[[noreturn]] void execute_role(const std::string &role, const std::string &path,
                               const Arguments &arguments, int pipe) {
  const std::string log = "/run/log/" + std::to_string(getpid());
  become_background(open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  setenv(kRoleVariable, role.c_str(), 1);
  setenv(kReadyVariable, std::to_string(pipe).c_str(), 1);
  std::vector<char *> words{const_cast<char *>(path.c_str())};
  for (const std::string &argument : arguments)
    words.push_back(const_cast<char *>(argument.c_str()));
  words.push_back(nullptr);
  execv(path.c_str(), words.data());
  fail(path);
}

// The path to run, made if it is not there; empty if that fails.
std::string executable_for(const std::string &role, const std::string &executable) {
  const std::string path = executable == "-" ? "/usr/bin/" + role : executable;
  const bool there = access(path.c_str(), X_OK) == 0 || link("/usr/bin/agent", path.c_str()) == 0;
  return there ? path : "";
}

} // namespace

Reply spawn_role(const std::string &role, const std::string &executable,
                 const Arguments &arguments) {
  const std::string path = executable_for(role, executable);
  if (find_role(role) == nullptr || path.empty())
    return {2, "no role " + role + ", or cannot make " + executable + "\n"};
  const pid_t child = fork();
  if (child == 0)
    execute_role(role, path, arguments, open("/dev/null", O_WRONLY));
  return {0, "pid=" + std::to_string(child) + "\n"};
}

Reply start_role(const std::string &role, const std::string &executable,
                 const Arguments &arguments) {
  if (find_role(role) == nullptr)
    return {2, "no role " + role + "\n"};
  const std::string path = executable_for(role, executable);
  if (path.empty())
    return {1, "cannot make " + executable + "\n"};
  int ends[2];
  if (pipe(ends) != 0)
    return {1, "pipe\n"};
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  const pid_t child = fork();
  if (child == 0)
    execute_role(role, path, arguments, ends[1]);
  close(ends[1]);
  std::string said;
  const auto is_ready = [&] { return said.ends_with("ready\n"); };
  collect(ends[0], said, Clock::now() + kReadyTimeout, is_ready);
  close(ends[0]);
  if (is_ready())
    return {0, "pid=" + std::to_string(child) + "\n" + said.substr(0, said.size() - 6)};
  if (child > 0)
    kill(child, SIGKILL);
  return {1, role + " did not get ready: " + read_file("/run/log/" + std::to_string(child))};
}

Reply run_shell(const std::string &command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return {1, "pipe\n"};
  const pid_t child = fork();
  if (child == 0) {
    become_background(ends[1]);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    fail("/bin/sh");
  }
  close(ends[1]);
  Reply reply;
  const bool in_time =
      collect(ends[0], reply.text, Clock::now() + kShellTimeout, [] { return false; });
  close(ends[0]);
  if (!in_time || reply.text.size() >= kMaxOutput)
    kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  reply.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return reply;
}

} // namespace lab
