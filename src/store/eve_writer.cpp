#include "store/eve_writer.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace outguard::store {

namespace {

/// write(2) that only an interrupt before the first byte makes try again.
ssize_t write_once(int file, std::string_view bytes) {
  ssize_t done = 0;
  do {
    done = ::write(file, bytes.data(), bytes.size());
  } while (done < 0 && errno == EINTR);
  return done;
}

} // namespace

Result<std::unique_ptr<EveWriter>> EveWriter::open(std::string path) {
  std::unique_ptr<EveWriter> writer(new EveWriter(std::move(path)));
  if (auto opened = writer->open_file(); !opened) {
    return tl::unexpected(opened.error());
  }
  return writer;
}

Result<void> EveWriter::open_file() {
  // O_NONBLOCK: a pipe without a reader must not stop the supervisor.
  constexpr mode_t kMode = 0640;
  Fd file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                 kMode));
  if (!file) {
    return fail_errno("cannot open alert file " + path_);
  }
  file_ = std::move(file);
  torn_ = false;
  return {};
}

bool EveWriter::is_current() const {
  struct stat named {};
  struct stat opened {};
  return file_ && ::stat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &opened) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

Result<void> EveWriter::reopen() {
  const std::lock_guard lock(mutex_);
  ++counts_.reopened;
  return open_file();
}

Result<void> EveWriter::write(std::string_view line) {
  const std::lock_guard lock(mutex_);
  auto written = write_locked(line);
  ++(written ? counts_.written : counts_.lost);
  return written;
}

Result<void> EveWriter::write_locked(std::string_view line) {
  if (!is_current()) {
    ++counts_.reopened;
    // If it cannot be opened now, the old file is still better than none.
    if (auto opened = open_file(); !opened && !file_) {
      return opened;
    }
  }
  std::string whole;
  whole.reserve(line.size() + 2);
  if (torn_) {
    whole += '\n'; // the piece of a line stands alone, so that only it is unreadable
  }
  whole += line;
  whole += '\n';
  const auto done = write_once(file_.get(), whole);
  if (done < 0) {
    return fail_errno("cannot write alert to " + path_);
  }
  torn_ = static_cast<std::size_t>(done) < whole.size() && (done > 0 || torn_);
  if (static_cast<std::size_t>(done) < whole.size()) {
    return fail(ErrorCode::SystemFailed, "cannot write the whole alert to " + path_);
  }
  return {};
}

EveWriter::Counts EveWriter::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

} // namespace outguard::store
