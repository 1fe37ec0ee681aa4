#include "launch/child_program.h"

#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace outguard::launch {

namespace {

constexpr int kControlFd = 3; ///< where our programs expect their control socket

Result<std::string> path_of(const char *program) {
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  if (problem) {
    return fail(ErrorCode::SystemFailed, "/proc/self/exe: " + problem.message());
  }
  return (self.parent_path() / program).string();
}

/// In the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const char *path, const char *program, const char *role, int control) {
  if (control == kControlFd) {
    ::fcntl(control, F_SETFD, 0);
  } else {
    ::dup2(control, kControlFd);
  }
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  const char *const arguments[] = {program, role, nullptr};
  const char *const environment[] = {nullptr};
  ::execve(path, const_cast<char *const *>(arguments), const_cast<char *const *>(environment));
  ::_exit(127);
}

} // namespace

Result<ChildProgram> start_child(const char *program, const char *role) {
  const auto path = path_of(program);
  if (!path) {
    return tl::unexpected(path.error());
  }
  if (::access(path->c_str(), X_OK) != 0) {
    return fail_errno(*path);
  }
  auto ends = MessageSocket::pair();
  if (!ends) {
    return tl::unexpected(ends.error());
  }
  // vfork: the parent may be a supervisor with much memory; fork would copy its page tables.
  const pid_t child = ::vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (child < 0) {
    return fail_errno("vfork");
  }
  if (child == 0) {
    become(path->c_str(), program, role, ends->second.fd());
  }
  return ChildProgram{child, std::move(ends->first)};
}

std::string epitaph(pid_t pid, const std::string &who) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0) {
    return who + " has ended";
  }
  if (info.si_code == CLD_EXITED) {
    return who + " has ended with status " + std::to_string(info.si_status);
  }
  return who + " was ended by signal " + std::to_string(info.si_status) +
         (info.si_status == SIGSYS ? " (a system call that its sandbox forbids)" : "");
}

} // namespace outguard::launch
