// Processes that do not look like what they are. All of them are TCP clients otherwise.

#include <cstdlib>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

// Set in the environment of the second life, after the exec.
constexpr const char *kSecondLife = "LAB_SECOND_LIFE";

// Control characters, quotes, ANSI colours, a newline, bytes that are no UTF-8: 15 bytes.
constexpr const char *kHostileComm = "\x1b[31m\"'\\\n\t\xff\xc3(\xe2";
constexpr const char *kHostileArgument =
    "</script>\x1b]0;owned\x07\r\n\"quoted\" \xf0\x28\x8c\x28 end";

int play(const Arguments &arguments, const char *role) {
  chat_forever(parse_endpoint(arguments.at(0)), parse_seconds(arguments.at(1)), role);
}

void write_own_program_to(int fd) {
  const std::string program = read_file("/proc/self/exe");
  for (size_t done = 0; done < program.size();) {
    const ssize_t count = write(fd, program.data() + done, program.size() - done);
    if (count <= 0)
      fail("write");
    done += static_cast<size_t>(count);
  }
}

std::vector<char *> exec_words(const std::string &name, const Arguments &arguments) {
  std::vector<char *> words{const_cast<char *>(name.c_str())};
  for (const std::string &argument : arguments)
    words.push_back(const_cast<char *>(argument.c_str()));
  words.push_back(nullptr);
  return words;
}

// Runs from a file that is deleted once it runs: /tmp/.update-PID.
int deleted_exe(const Arguments &arguments) {
  if (std::getenv(kSecondLife) != nullptr) {
    if (unlink(read_link("/proc/self/exe").c_str()) != 0)
      fail("unlink");
    unsetenv(kSecondLife);
    return play(arguments, "deleted-exe");
  }
  const std::string path = "/tmp/.update-" + std::to_string(getpid());
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  if (file < 0)
    fail(path);
  write_own_program_to(file);
  close(file);
  setenv(kSecondLife, "1", 1);
  execv(path.c_str(), exec_words(path, arguments).data());
  fail(path);
}

// Runs from memory that never had a file.
int memfd_exe(const Arguments &arguments) {
  if (std::getenv(kSecondLife) != nullptr) {
    unsetenv(kSecondLife);
    return play(arguments, "memfd-exe");
  }
  const int memory = memfd_create("payload", MFD_CLOEXEC);
  if (memory < 0)
    fail("memfd_create");
  write_own_program_to(memory);
  setenv(kSecondLife, "1", 1);
  fexecve(memory, exec_words("payload", arguments).data(), environ);
  fail("fexecve");
}

int fake_kworker(const Arguments &arguments) {
  prctl(PR_SET_NAME, "kworker/0:1");
  return play(arguments, "fake-kworker");
}

int hostile_name(const Arguments &arguments) {
  if (std::getenv(kSecondLife) == nullptr) {
    setenv(kSecondLife, "1", 1);
    Arguments more = arguments;
    more.push_back(kHostileArgument);
    execv("/proc/self/exe", exec_words(kHostileComm, more).data());
    fail("exec");
  }
  prctl(PR_SET_NAME, kHostileComm);
  return play(arguments, "hostile-name");
}

} // namespace

std::vector<Role> disguise_roles() {
  return {
      {"deleted-exe", "DEST INTERVAL", deleted_exe},
      {"memfd-exe", "DEST INTERVAL", memfd_exe},
      {"fake-kworker", "DEST INTERVAL", fake_kworker},
      {"hostile-name", "DEST INTERVAL", hostile_name},
  };
}

} // namespace lab
