#pragma once
// Processes of a test's own, some named like QEMU, and a folder for their sockets. Header only, so
// that it is in no product binary.

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace outguard::hypervisor {

/// A child process; killed and collected at the end.
class Child {
public:
  explicit Child(std::vector<std::string> arguments, const std::string &folder = "/",
                 const std::string &program = {}) {
    std::vector<char *> words;
    words.reserve(arguments.size() + 1);
    for (auto &argument : arguments) {
      words.push_back(argument.data());
    }
    words.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::chdir(folder.c_str()) == 0) {
        ::execvp(program.empty() ? words[0] : program.c_str(), words.data());
      }
      ::_exit(127);
    }
  }
  ~Child() { end(); }
  Child(const Child &) = delete;
  Child &operator=(const Child &) = delete;
  void end() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

private:
  pid_t pid_ = 0;
};

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "outguard-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
  [[nodiscard]] const std::string &path() const { return path_; }

private:
  std::string path_;
};

/// A shell that stops itself: it stays as it is until it is killed.
inline std::vector<std::string> named_like_qemu(const std::string &name) {
  return {"/usr/bin/qemu-system-test", "-c", "kill -STOP $$", "-name", name};
}

template <class Condition> bool eventually(Condition condition) {
  for (int i = 0; i < 250; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

} // namespace outguard::hypervisor
