#include "console.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/reboot.h>
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "launch.h"
#include "roles.h"
#include "text.h"
#include "truth.h"

namespace lab {
namespace {

constexpr size_t kMaxRequest = 64u << 10;

Reply truth() {
  Reply reply;
  append_system(reply.text);
  append_sockets(append_processes(reply.text), reply.text);
  return reply;
}

bool is_alive(long pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
}

// A killed process is gone when the reply comes, or a second has passed.
Reply send_signal(long pid, int number) {
  if (pid <= 1 || kill(static_cast<pid_t>(pid), number) != 0)
    return {1, "no such process\n"};
  for (int tries = 0; number == SIGKILL && is_alive(pid) && tries < 500; ++tries)
    usleep(2000);
  return {};
}

// "PID ROLE COUNT" a line, for the living and the dead.
Reply talk() {
  Reply reply;
  for (const std::string &pid : folder_entries("/run/talk"))
    reply.text += pid + " " + read_file("/run/talk/" + pid);
  return reply;
}

Reply list_roles() {
  Reply reply;
  for (const Role &role : all_roles())
    reply.text += std::string(role.name) + " " + role.usage + "\n";
  return reply;
}

// Loads another kernel and starts it a moment later, so that the reply still leaves.
Reply start_kernel(const std::string &kernel, const std::string &initrd) {
  const int kernel_file = open(kernel.c_str(), O_RDONLY | O_CLOEXEC);
  const int initrd_file = open(initrd.c_str(), O_RDONLY | O_CLOEXEC);
  std::string words = read_file("/proc/cmdline");
  while (!words.empty() && words.back() == '\n')
    words.pop_back();
  if (syscall(SYS_kexec_file_load, kernel_file, initrd_file, words.size() + 1, words.c_str(), 0) !=
      0)
    return {1, std::string("kexec_file_load: ") + strerror(errno) + "\n"};
  if (fork() == 0) {
    usleep(200'000);
    reboot(LINUX_REBOOT_CMD_KEXEC);
    _exit(1);
  }
  return {};
}

Reply answer(const Arguments &words) {
  const std::string command = words.empty() ? "" : words[0];
  const std::string first = words.size() > 1 ? words[1] : "";
  if (command == "ping")
    return {0, "pong\n"};
  if (command == "truth")
    return truth();
  if (command == "talk")
    return talk();
  if (command == "roles")
    return list_roles();
  if (command == "kexec" && words.size() == 3)
    return start_kernel(first, words[2]);
  if (command == "alive")
    return {0, is_alive(std::atol(first.c_str())) ? "1" : "0"};
  if (command == "log")
    return {0, read_file("/run/log/" + first)};
  if (command == "sh")
    return run_shell(first);
  if (command == "kill")
    return send_signal(std::atol(first.c_str()),
                       words.size() > 2 ? std::atoi(words[2].c_str()) : SIGKILL);
  if (command == "run" && words.size() >= 3) {
    return start_role(first, words[2], Arguments(words.begin() + 3, words.end()));
  }
  if (command == "spawn" && words.size() >= 3) {
    return spawn_role(first, words[2], Arguments(words.begin() + 3, words.end()));
  }
  return {2, "unknown command: " + command + "\n"};
}

void write_all(int fd, const std::string &text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR)
      return;
    if (count > 0)
      done += static_cast<size_t>(count);
  }
}

void serve_line(int terminal, const std::string &line) {
  auto words = split(line, ' ');
  if (words.empty())
    return;
  const std::string id = words[0];
  words.erase(words.begin());
  for (std::string &word : words)
    word = percent_decoded(word);
  const Reply reply = answer(words);
  write_all(terminal, "=" + id + " " + std::to_string(reply.status) + " " +
                          std::to_string(reply.text.size()) + "\n" + reply.text);
}

int open_terminal(const std::string &device) {
  const int terminal = open(device.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0)
    fail(device);
  termios settings{};
  tcgetattr(terminal, &settings);
  cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  cfsetspeed(&settings, B115200);
  tcsetattr(terminal, TCSANOW, &settings);
  return terminal;
}

} // namespace

int serve_console(const std::string &device) {
  mkdir("/run/talk", 0755);
  mkdir("/run/log", 0755);
  for (const Role &role : all_roles()) {
    // A hard link: each role has its own executable path without a copy.
    if (link("/usr/bin/agent", (std::string("/usr/bin/") + role.name).c_str()) != 0 &&
        errno != EEXIST)
      fail(role.name);
  }
  const int terminal = open_terminal(device);

  // Children end at any time: SIGCHLD wakes the poll below and nothing else.
  sigset_t child_ends, as_before;
  sigemptyset(&child_ends);
  sigaddset(&child_ends, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_ends, &as_before);
  signal(SIGCHLD, [](int) {});

  write_all(terminal, "=0 0 0\n");
  std::string pending;
  for (;;) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    pollfd wanted{terminal, POLLIN, 0};
    if (ppoll(&wanted, 1, nullptr, &as_before) <= 0)
      continue;
    char buffer[4096];
    const ssize_t count = read(terminal, buffer, sizeof buffer);
    if (count <= 0)
      continue;
    pending.append(buffer, static_cast<size_t>(count));
    for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      serve_line(terminal, pending.substr(0, end));
    }
    if (pending.size() > kMaxRequest)
      pending.clear();
  }
}

} // namespace lab
