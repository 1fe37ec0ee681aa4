#include "daemon/file_watch.h"

#include <algorithm>
#include <array>

#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace outguard::daemon {

namespace {

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

/// FNV-1a; whoever can change the files can change what they say, so that it need not be strong.
class Hash {
public:
  template <class Number> void add(Number number) {
    auto left = static_cast<std::uint64_t>(number);
    for (int i = 0; i < 8; ++i, left >>= 8) {
      value_ = (value_ ^ (left & 0xff)) * 0x100000001b3U;
    }
  }
  void add_text(std::string_view text) {
    for (const char c : text) {
      value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    add(text.size());
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

private:
  std::uint64_t value_ = 0xcbf29ce484222325U;
};

} // namespace

FileWatch::FileWatch() : events_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

void FileWatch::watch(std::span<const std::string> folders) {
  // A folder that is watched already keeps its watch: the kernel knows it by its inode.
  for (const auto &folder : folders.first(std::min(folders.size(), kMostFolders))) {
    static_cast<void>(::inotify_add_watch(events_.get(), folder.c_str(), kEvents | IN_ONLYDIR));
  }
}

void FileWatch::wait(int wake_fd, std::chrono::milliseconds wait) {
  std::array<pollfd, 2> items{{{events_.get(), POLLIN, 0}, {wake_fd, POLLIN, 0}}};
  if (::poll(items.data(), items.size(), static_cast<int>(wait.count())) <= 0) {
    return;
  }
  // What happened is not looked at, so that a lost event loses nothing; a flood of them is left to
  // the kernel, which bounds its queue.
  std::array<char, 65'536> waste;
  for (const auto &item : items) {
    if (item.revents != 0 && ::read(item.fd, waste.data(), waste.size()) < 0) {
      continue; // somebody else was faster, or nothing can be done
    }
  }
}

std::uint64_t signature_of(std::span<const std::string> files) {
  Hash hash;
  for (const auto &file : files) {
    hash.add_text(file);
    struct stat facts {};
    if (::stat(file.c_str(), &facts) != 0) {
      hash.add(-1);
      continue;
    }
    hash.add(facts.st_dev);
    hash.add(facts.st_ino);
    hash.add(facts.st_size);
    for (const auto &time : {facts.st_mtim, facts.st_ctim}) {
      hash.add(time.tv_sec);
      hash.add(time.tv_nsec);
    }
  }
  return hash.value();
}

std::optional<WallTime> last_change(std::span<const std::string> files) {
  std::optional<WallTime> last;
  for (const auto &file : files) {
    struct stat facts {};
    if (::stat(file.c_str(), &facts) == 0) {
      const WallTime changed{std::chrono::seconds(facts.st_ctim.tv_sec) +
                             std::chrono::nanoseconds(facts.st_ctim.tv_nsec)};
      last = std::max(last.value_or(changed), changed);
    }
  }
  return last;
}

} // namespace outguard::daemon
