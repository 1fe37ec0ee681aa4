#include "launch/good_copy.h"

#include <sys/stat.h>
#include <unistd.h>

namespace outguard::launch {

namespace {

constexpr const char *kGood = ".good";

ino_t inode_of(const std::string &path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) ? about.st_ino : 0;
}

} // namespace

std::optional<std::string> good_copy_of(const std::string &path) {
  auto good = path + kGood;
  const auto inode = inode_of(good);
  return inode != 0 && inode != inode_of(path) ? std::optional(std::move(good)) : std::nullopt;
}

std::optional<CopyMark> mark_of(const std::string &path) {
  const auto inode = inode_of(path);
  return inode == 0 ? std::nullopt : std::optional(CopyMark{path, inode});
}

Result<void> keep_good(const CopyMark &mark) {
  const auto good = mark.path + kGood;
  if (mark.path.ends_with(kGood) || inode_of(good) == mark.inode) {
    return {};
  }
  const auto temporary = good + ".new";
  ::unlink(temporary.c_str());
  if (::link(mark.path.c_str(), temporary.c_str()) != 0) {
    return fail_errno(temporary);
  }
  if (inode_of(temporary) != mark.inode || ::rename(temporary.c_str(), good.c_str()) != 0) {
    ::unlink(temporary.c_str());
  }
  return {};
}

} // namespace outguard::launch
