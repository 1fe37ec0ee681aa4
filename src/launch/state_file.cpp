#include "launch/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"

namespace outguard::launch {

namespace {

Result<void> sync_folder_of(const std::string &path) {
  const auto slash = path.rfind('/');
  const auto folder = slash == std::string::npos ? std::string(".") : path.substr(0, slash + 1);
  const Fd place(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!place || ::fsync(place.get()) != 0) {
    return fail_errno(folder);
  }
  return {};
}

} // namespace

Result<std::string> read_small_file(const std::string &path, std::size_t most) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    return fail_errno(path);
  }
  std::string text(most + 1, '\0');
  std::size_t had = 0;
  while (had < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + had, text.size() - had);
    if (count < 0) {
      return fail_errno(path);
    }
    if (count == 0) {
      break;
    }
    had += static_cast<std::size_t>(count);
  }
  if (had > most) {
    return fail(ErrorCode::LimitReached, path + ": larger than " + std::to_string(most) + " bytes");
  }
  text.resize(had);
  return text;
}

Result<void> replace_file(const std::string &path, const std::function<bool(int fd)> &fill) {
  const auto temporary = path + ".new";
  const Fd file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) {
    return fail_errno(temporary);
  }
  if (!fill(file.get()) || ::fsync(file.get()) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    auto failed = fail_errno(path);
    ::unlink(temporary.c_str());
    return failed;
  }
  return sync_folder_of(path);
}

Result<void> replace_file(const std::string &path, const std::string &text) {
  return replace_file(path, [&](int file) {
    return ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  });
}

} // namespace outguard::launch
