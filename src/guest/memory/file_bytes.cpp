#include "guest/memory/file_bytes.h"

#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

namespace outguard::guest {

Opened<void> FileBytes::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (!holds(offset, out.size())) {
    return problem("truncated: the file ends before this", offset);
  }
  return fill(offset, out);
}

Opened<std::unique_ptr<FileBytes>> PlainFile::open(Fd file) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return problem("not a regular file");
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  return std::unique_ptr<FileBytes>(new PlainFile(std::move(file), size));
}

Opened<void> PlainFile::fill(std::uint64_t offset, std::span<std::uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t count = pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return problem("the file cannot be read", offset);
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

} // namespace outguard::guest
