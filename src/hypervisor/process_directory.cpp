#include "hypervisor/process_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <memory>
#include <optional>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace outguard::hypervisor {

namespace {

/// /proc/PID/stat: 52 numbers and a name of at most 15 bytes.
constexpr std::size_t kMostStatBytes = 4096;
/// pid_max is at most 4,194,304, and a host with a tenth of that is already beyond help.
constexpr std::size_t kMostProcesses = 1U << 19;

struct CloseFolder {
  void operator()(DIR *folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

template <class Number> std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

/// NotFound, as opposed to "may not" and "cannot": no such file, or the process has ended.
tl::unexpected<Error> fail_to(const std::string &what) {
  const bool absent = errno == ENOENT || errno == ESRCH;
  auto error = fail_errno(what);
  return absent ? fail(ErrorCode::NotFound, std::move(error.value().message)) : error;
}

} // namespace

Result<ProcessDirectory> ProcessDirectory::open(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid);
  Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    if (errno == ENOENT) {
      return fail(ErrorCode::NotFound, "no process " + std::to_string(pid));
    }
    return fail_errno(path);
  }
  return ProcessDirectory(pid, std::move(directory));
}

std::string ProcessDirectory::path(const std::string &file) const {
  return "/proc/" + std::to_string(pid_) + "/" + file;
}

Result<Fd> ProcessDirectory::open_file(const std::string &file, int flags) const {
  Fd opened(::openat(directory_.get(), file.c_str(), flags | O_CLOEXEC));
  if (!opened) {
    return fail_to("open " + path(file));
  }
  return opened;
}

Result<std::string> ProcessDirectory::read_start(const std::string &file, std::size_t most) const {
  auto opened = open_file(file, O_RDONLY);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  std::string text;
  std::array<char, 16384> chunk{};
  while (text.size() < most) {
    const ssize_t got =
        ::read(opened->get(), chunk.data(), std::min(chunk.size(), most - text.size()));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail_to("read " + path(file));
    }
    if (got == 0) {
      break;
    }
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return text;
}

Result<std::string> ProcessDirectory::read(const std::string &file, std::size_t most) const {
  auto text = read_start(file, most + 1);
  if (text && text->size() > most) {
    return fail(ErrorCode::LimitReached,
                path(file) + " is longer than " + std::to_string(most) + " bytes");
  }
  return text;
}

Result<std::string> ProcessDirectory::read_link(const std::string &file) const {
  std::array<char, PATH_MAX> target{};
  const ssize_t got = ::readlinkat(directory_.get(), file.c_str(), target.data(), target.size());
  if (got < 0) {
    return fail_to("readlink " + path(file));
  }
  return std::string(target.data(), static_cast<std::size_t>(got));
}

Result<std::vector<std::string>> ProcessDirectory::list(const std::string &folder,
                                                        std::size_t most) const {
  auto opened = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const Folder entries(::fdopendir(opened->get()));
  if (!entries) {
    return fail_errno("list " + path(folder));
  }
  (void)opened->release(); // closedir() closes it
  std::vector<std::string> names;
  while (const dirent *entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    if (names.size() == most) {
      return fail(ErrorCode::LimitReached,
                  path(folder) + " has more than " + std::to_string(most) + " entries");
    }
    names.emplace_back(name);
  }
  return names;
}

Result<std::uint64_t> ProcessDirectory::start_time() const {
  const auto text = read("stat", kMostStatBytes);
  if (!text) {
    return tl::unexpected(text.error());
  }
  // proc(5): the name stands in parentheses and may hold any of them; field 22 is the start time.
  constexpr int kFieldsAfterName = 20;
  std::size_t at = text->rfind(')');
  for (int field = 0; field < kFieldsAfterName && at != std::string::npos; ++field) {
    at = text->find(' ', at + 1);
  }
  if (at != std::string::npos) {
    const std::string_view rest = std::string_view(*text).substr(at + 1);
    if (const auto ticks = parse_number<std::uint64_t>(rest.substr(0, rest.find(' ')))) {
      return *ticks;
    }
  }
  return fail(ErrorCode::InvalidInput, path("stat") + " has no start time");
}

Result<std::uint64_t> ProcessDirectory::inode(const std::string &file) const {
  struct stat status {};
  if (::fstatat(directory_.get(), file.c_str(), &status, 0) != 0) {
    return fail_errno("stat " + path(file));
  }
  return status.st_ino;
}

Result<std::vector<pid_t>> list_processes() {
  const Folder entries(::opendir("/proc"));
  if (!entries) {
    return fail_errno("list /proc");
  }
  std::vector<pid_t> pids;
  while (const dirent *entry = ::readdir(entries.get())) {
    const auto pid = parse_number<pid_t>(entry->d_name);
    if (pid && *pid > 0) {
      if (pids.size() == kMostProcesses) {
        return fail(ErrorCode::LimitReached, "/proc lists too many processes");
      }
      pids.push_back(*pid);
    }
  }
  return pids;
}

} // namespace outguard::hypervisor
