#include "store/file_calls.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace outguard::store {

namespace {

template <class Call> auto uninterrupted(Call call) {
  auto done = call();
  while (done < 0 && errno == EINTR) {
    done = call();
  }
  return done;
}

} // namespace

int FileCalls::open(const std::string &path, int flags, mode_t mode) {
  return uninterrupted([&] { return ::open(path.c_str(), flags, mode); });
}
ssize_t FileCalls::read(int file, char *to, std::size_t size) {
  return uninterrupted([&] { return ::read(file, to, size); });
}
ssize_t FileCalls::write(int file, const char *from, std::size_t size) {
  return uninterrupted([&] { return ::write(file, from, size); });
}
int FileCalls::fsync(int file) {
  return uninterrupted([&] { return ::fsync(file); });
}
int FileCalls::truncate(int file, off_t size) {
  return uninterrupted([&] { return ::ftruncate(file, size); });
}
int FileCalls::stat(int file, struct stat &found) {
  return ::fstat(file, &found);
}
int FileCalls::lock(int file) {
  return uninterrupted([&] { return ::flock(file, LOCK_EX | LOCK_NB); });
}
int FileCalls::link(const std::string &from, const std::string &to) {
  return ::link(from.c_str(), to.c_str());
}
int FileCalls::rename(const std::string &from, const std::string &to) {
  return ::rename(from.c_str(), to.c_str());
}
int FileCalls::remove(const std::string &path) {
  return ::unlink(path.c_str());
}

} // namespace outguard::store
