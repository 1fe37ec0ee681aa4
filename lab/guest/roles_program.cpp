// Processes whose executable lies in an odd place, or whose arguments do. They hold no socket.

#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

extern char **environ;

namespace lab {
namespace {

constexpr const char *kSecondLife = "LAB_SECOND_LIFE"; // set after the exec
constexpr std::uintptr_t kPage = 4096;

void check(bool done, const std::string &what) {
  if (!done)
    fail(what);
}

std::string own_folder(const std::string &kind) {
  const std::string path = "/run/" + kind + "-" + std::to_string(getpid());
  check(mkdir(path.c_str(), 0755) == 0, path);
  return path;
}

void write_file(const std::string &path, std::string_view content) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  check(file >= 0, path);
  while (!content.empty()) {
    const ssize_t count = write(file, content.data(), content.size());
    check(count > 0, path);
    content.remove_prefix(static_cast<size_t>(count));
  }
  close(file);
}

std::string own_program() {
  return read_file("/proc/self/exe");
}

[[noreturn]] void run_again(const std::string &path) {
  setenv(kSecondLife, "1", 1);
  execl(path.c_str(), path.c_str(), "second life", nullptr);
  fail(path);
}

bool is_second_life() {
  return std::getenv(kSecondLife) != nullptr;
}

// Lower and upper lie on a tmpfs: the initial root has no extended attributes.
std::string mount_overlay() {
  const std::string at = own_folder("overlay");
  check(mount("tmpfs", at.c_str(), "tmpfs", 0, nullptr) == 0, "tmpfs");
  for (const char *name : {"/lower", "/upper", "/work", "/merged"})
    check(mkdir((at + name).c_str(), 0755) == 0, name);
  write_file(at + "/lower/program", own_program());
  const std::string options =
      "lowerdir=" + at + "/lower,upperdir=" + at + "/upper,workdir=" + at + "/work";
  const std::string merged = at + "/merged";
  check(mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) == 0, "overlay");
  return merged;
}

// lower | upper | deleted: from an overlay, where the file has been in its lower or upper layer.
int overlay_exe(const Arguments &arguments) {
  if (is_second_life()) {
    if (arguments.empty()) // cannot be: both lives have an argument
      return 2;
    if (std::getenv("LAB_DELETE") != nullptr)
      check(unlink(read_link("/proc/self/exe").c_str()) == 0, "unlink");
    stay_ready();
  }
  const std::string path = mount_overlay() + "/program";
  if (arguments.at(0) != "lower")
    check(chmod(path.c_str(), 0700) == 0, "chmod"); // copied up
  if (arguments.at(0) == "deleted")
    setenv("LAB_DELETE", "1", 1);
  run_again(path);
}

int chroot_exe(const Arguments &) {
  if (is_second_life())
    stay_ready();
  const std::string jail = own_folder("jail");
  check(mkdir((jail + "/app").c_str(), 0755) == 0, "mkdir");
  write_file(jail + "/app/program", own_program());
  check(chroot(jail.c_str()) == 0 && chdir("/") == 0, "chroot");
  run_again("/app/program");
}

// A container's root: another mount namespace, the guest's own root not reachable from it.
int pivot_exe(const Arguments &) {
  if (is_second_life())
    stay_ready();
  const std::string root = own_folder("pivot");
  const std::string program = own_program();
  check(unshare(CLONE_NEWNS) == 0, "unshare");
  // The initial root file system cannot be left: a container's root stands over it.
  check(mount("tmpfs", root.c_str(), "tmpfs", 0, nullptr) == 0 &&
            mkdir((root + "/app").c_str(), 0755) == 0,
        "tmpfs");
  write_file(root + "/app/program", program);
  check(chdir(root.c_str()) == 0 && mount(".", "/", nullptr, MS_MOVE, nullptr) == 0 &&
            chroot(".") == 0 && chdir("/") == 0,
        "move");
  run_again("/app/program");
}

// folder | file: through a bind mount of a folder, or of the file alone, deleted where it was.
int bind_exe(const Arguments &arguments) {
  if (is_second_life())
    stay_ready();
  const std::string at = own_folder("bind");
  const bool is_file = arguments.at(0) == "file";
  check(mkdir((at + "/from").c_str(), 0755) == 0, "mkdir");
  write_file(at + "/from/program", own_program());
  const std::string from = at + (is_file ? "/from/program" : "/from"), to = at + "/to";
  if (is_file)
    write_file(to, "");
  else
    check(mkdir(to.c_str(), 0755) == 0, "mkdir");
  check(mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind");
  if (is_file) {
    check(unlink(from.c_str()) == 0, "unlink");
    run_again(to);
  }
  run_again(to + "/program");
}

// TITLE: over the arguments and, when it is long, over the environment behind them.
int set_title(const Arguments &arguments) {
  if (!is_second_life()) { // the program's own words are not where the kernel put them: read them
    setenv(kSecondLife, "1", 1);
    execl("/proc/self/exe", "set-title", arguments.at(0).c_str(), nullptr);
    fail("exec");
  }
  const std::string stat = read_file("/proc/self/stat");
  const auto fields = split(stat.substr(stat.rfind(')') + 1), ' ');
  char *const start = reinterpret_cast<char *>(std::strtoull(fields.at(45).c_str(), nullptr, 10));
  const std::string title = arguments.at(0);
  ready(); // its variables lie where the title goes
  std::memcpy(start, title.c_str(), title.size() + 1);
  char *const end = reinterpret_cast<char *>(std::strtoull(fields.at(46).c_str(), nullptr, 10));
  if (start + title.size() < end)
    std::memset(start + title.size(), 'x', static_cast<size_t>(end - start) - title.size());
  if (start + title.size() < end)
    start[title.size()] = '\0';
  stay();
}

char *new_page() {
  void *const page =
      mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(page != MAP_FAILED, "mmap");
  return static_cast<char *>(page);
}

// TEXT: moved by prctl to a page of its own, as systemd's helpers do.
int moved_arguments(const Arguments &arguments) {
  char *const page = new_page();
  const std::string text = arguments.at(0);
  std::memcpy(page, text.c_str(), text.size() + 1);
  const auto begin = reinterpret_cast<unsigned long>(page);
  // The end must not lie before the start, at any time: which to move first depends on the place.
  const unsigned long end = begin + text.size() + 1;
  const bool start_first = prctl(PR_SET_MM, PR_SET_MM_ARG_START, begin, 0, 0) == 0;
  check(prctl(PR_SET_MM, PR_SET_MM_ARG_END, end, 0, 0) == 0, "end");
  check(start_first || prctl(PR_SET_MM, PR_SET_MM_ARG_START, begin, 0, 0) == 0, "start");
  stay_ready();
}

// Executed without any, not even its own name (later kernels put an empty one there).
int no_arguments(const Arguments &) {
  if (is_second_life())
    stay_ready();
  setenv(kSecondLife, "1", 1);
  char *none[] = {nullptr};
  execve("/proc/self/exe", none, environ);
  fail("execve");
}

// Its arguments' page is not resident: nothing can be known from outside, until somebody looks.
int dropped_arguments(const Arguments &) {
  char *const page = new_page();
  std::strcpy(page, "gone");
  const auto begin = reinterpret_cast<unsigned long>(page);
  const bool start_first = prctl(PR_SET_MM, PR_SET_MM_ARG_START, begin, 0, 0) == 0;
  check(prctl(PR_SET_MM, PR_SET_MM_ARG_END, begin + 5, 0, 0) == 0, "end");
  check(start_first || prctl(PR_SET_MM, PR_SET_MM_ARG_START, begin, 0, 0) == 0, "start");
  check(madvise(page, kPage, MADV_DONTNEED) == 0, "madvise");
  stay_ready();
}

// A 32-bit program of its own: one page, ET_EXEC for the 80386, that waits for ever.
std::string program_of_32_bits() {
  constexpr std::uint32_t kBase = 0x08048000, kHeaders = 52 + 32;
  const std::uint8_t code[] = {0xb8, 29,   0, 0, 0, // mov eax, __NR_pause
                               0xcd, 0x80,          // int 0x80
                               0xeb, 0xf7};         // jmp to the mov
  std::string file("\x7f"
                   "ELF\x01\x01\x01",
                   7);
  file.resize(16);
  const auto put = [&file](std::uint32_t value, int bytes) {
    for (int index = 0; index < bytes; ++index)
      file += static_cast<char>(value >> 8 * index);
  };
  const std::uint32_t size = kHeaders + sizeof code;
  put(2, 2), put(3, 2), put(1, 4);                     // ET_EXEC, EM_386, version
  put(kBase + kHeaders, 4), put(52, 4), put(0, 4);     // entry, program headers, sections
  put(0, 4), put(52, 2), put(32, 2), put(1, 2);        // flags, sizes, one program header
  put(0, 2), put(0, 2), put(0, 2);                     // no sections
  put(1, 4), put(0, 4), put(kBase, 4), put(kBase, 4);  // PT_LOAD from offset 0
  put(size, 4), put(size, 4), put(5, 4), put(4096, 4); // r-x
  return file + std::string(std::begin(code), std::end(code));
}

// WORD...: a 32-bit process with these arguments.
int bits32(const Arguments &arguments) {
  const std::string path = "/tmp/bits32-" + std::to_string(getpid());
  write_file(path, program_of_32_bits());
  std::vector<char *> words{const_cast<char *>(path.c_str())};
  for (const std::string &argument : arguments)
    words.push_back(const_cast<char *>(argument.c_str()));
  words.push_back(nullptr);
  ready();
  execv(path.c_str(), words.data());
  fail(path);
}

} // namespace

std::vector<Role> program_roles() {
  return {
      {"overlay-exe", "lower|upper|deleted", overlay_exe},
      {"chroot-exe", "", chroot_exe},
      {"pivot-exe", "", pivot_exe},
      {"bind-exe", "folder|file", bind_exe},
      {"set-title", "TITLE", set_title},
      {"moved-arguments", "TEXT", moved_arguments},
      {"no-arguments", "", no_arguments},
      {"dropped-arguments", "", dropped_arguments},
      {"bits32", "[WORD...]", bits32},
  };
}

} // namespace lab
