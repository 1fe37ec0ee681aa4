#include "store/intel_changes.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

namespace outguard::store {

namespace {

constexpr mode_t kMode = 0644;
constexpr const char *kBlanks = " \t\r";

const char *name_of(IntelChanges::List list) {
  return list == IntelChanges::List::Added ? "added" : "removed";
}

/// The first word; empty for a line of comment or nothing.
std::string value_of(const std::string &line) {
  const auto start = line.find_first_not_of(kBlanks);
  if (start == line.npos || line[start] == '#') {
    return "";
  }
  const auto end = line.find_first_of(kBlanks, start);
  return line.substr(start, end == line.npos ? end : end - start);
}

} // namespace

Result<IntelChanges> IntelChanges::open(std::string folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  Fd at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at) {
    return fail_errno(folder);
  }
  Fd lock(::openat(at.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
  int locked = -1;
  do {
    locked = lock ? ::flock(lock.get(), LOCK_EX) : -1;
  } while (lock && locked != 0 && errno == EINTR);
  if (locked != 0) {
    return fail_errno(folder + "/lock");
  }
  return IntelChanges(std::move(folder), std::move(at), std::move(lock));
}

Result<std::vector<std::string>> IntelChanges::lines_of(List list) const {
  const auto path = folder_ + "/" + name_of(list);
  const Fd file(
      ::openat(folder_fd_.get(), name_of(list), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    return errno == ENOENT ? Result<std::vector<std::string>>() : fail_errno(path);
  }
  std::string text;
  std::vector<char> piece(1 << 16);
  for (ssize_t got = 1; got != 0;) {
    got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno != EINTR) {
      return fail_errno(path);
    }
    text.append(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (text.size() > kMostBytes) {
      return fail(ErrorCode::LimitReached, path + ": longer than 16 MiB");
    }
  }
  std::vector<std::string> lines;
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

Result<std::vector<IntelChanges::Entry>> IntelChanges::read(List list) const {
  const auto lines = lines_of(list);
  if (!lines) {
    return tl::unexpected(lines.error());
  }
  std::vector<Entry> entries;
  for (const auto &line : *lines) {
    auto value = value_of(line);
    if (value.empty()) {
      continue;
    }
    const auto mark = line.find(" #");
    const auto note = mark == line.npos ? mark : line.find_first_not_of(" #", mark);
    entries.push_back({std::move(value), note == line.npos ? "" : line.substr(note)});
  }
  return entries;
}

Result<void> IntelChanges::replace(List list, const std::vector<std::string> &lines) const {
  const auto path = folder_ + "/" + name_of(list);
  const auto temporary = std::string(name_of(list)) + ".new";
  std::string text;
  for (const auto &line : lines) {
    text += line + '\n';
  }
  if (text.size() > kMostBytes) {
    return fail(ErrorCode::LimitReached, path + ": would be longer than 16 MiB");
  }
  const Fd file(::openat(folder_fd_.get(), temporary.c_str(),
                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!file) {
    return fail_errno(path + ".new");
  }
  for (std::size_t done = 0; done < text.size();) {
    const auto wrote = ::write(file.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno != EINTR) {
      return fail_errno(path + ".new");
    }
    done += static_cast<std::size_t>(std::max<ssize_t>(wrote, 0));
  }
  if (::fsync(file.get()) != 0 ||
      ::renameat(folder_fd_.get(), temporary.c_str(), folder_fd_.get(), name_of(list)) != 0 ||
      ::fsync(folder_fd_.get()) != 0) {
    return fail_errno(path);
  }
  return {};
}

Result<std::size_t> IntelChanges::put(List list, const std::vector<std::string> &values) {
  const auto other = list == List::Added ? List::Removed : List::Added;
  auto lines = lines_of(list);
  auto others = lines_of(other);
  if (!lines || !others) {
    return tl::unexpected(!lines ? lines.error() : others.error());
  }
  std::unordered_set<std::string> known;
  for (const auto &line : *lines) {
    known.insert(value_of(line));
  }
  std::size_t fresh = 0;
  for (const auto &value : values) {
    if (known.insert(value).second) {
      lines->push_back(value + " # " + rfc3339_timestamp(wall_now()));
      ++fresh;
    }
  }
  const std::unordered_set<std::string> moved(values.begin(), values.end());
  const auto gone = std::erase_if(
      *others, [&](const std::string &line) { return moved.contains(value_of(line)); });
  Result<void> done;
  if (fresh != 0) {
    done = replace(list, *lines);
  }
  if (done && gone != 0) {
    done = replace(other, *others);
  }
  return done ? Result<std::size_t>(fresh) : tl::unexpected(done.error());
}

} // namespace outguard::store
