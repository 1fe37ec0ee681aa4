#include "fetch/body_writer.h"

#include <cerrno>

#include <unistd.h>

namespace outguard::fetch {

namespace {
constexpr std::size_t kGather = std::size_t{64} << 10;
}

bool BodyWriter::restart() {
  gathered_.clear();
  size_ = 0;
  problem_ = FetchProblem::None;
  if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0) {
    problem_ = FetchProblem::Local;
  }
  return problem_ == FetchProblem::None;
}

bool BodyWriter::take(std::string_view bytes) {
  if (problem_ != FetchProblem::None) {
    return false;
  }
  if (bytes.size() > max_bytes_ - size_) {
    problem_ = FetchProblem::TooLarge;
    return false;
  }
  size_ += bytes.size();
  gathered_ += bytes;
  return gathered_.size() < kGather || finish();
}

bool BodyWriter::finish() {
  const bool written = problem_ == FetchProblem::None && write_out(gathered_);
  gathered_.clear();
  return written;
}

bool BodyWriter::write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) {
      problem_ = FetchProblem::Local;
      return false;
    }
    bytes.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return true;
}

} // namespace outguard::fetch
