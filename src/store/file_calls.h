#pragma once
// The system calls that the journal is kept by, so that a test can have any of them fail. The real
// ones only try again what was interrupted. Results and errno as in section 2 of the manual. Any
// thread.

#include <cstddef>
#include <string>

#include <sys/stat.h>
#include <sys/types.h>

namespace outguard::store {

class FileCalls {
public:
  virtual ~FileCalls() = default;
  [[nodiscard]] virtual int open(const std::string &path, int flags, mode_t mode);
  [[nodiscard]] virtual ssize_t read(int file, char *to, std::size_t size);
  [[nodiscard]] virtual ssize_t write(int file, const char *from, std::size_t size);
  [[nodiscard]] virtual int fsync(int file);
  [[nodiscard]] virtual int truncate(int file, off_t size);
  [[nodiscard]] virtual int stat(int file, struct stat &found);
  [[nodiscard]] virtual int lock(int file); ///< exclusive, does not wait
  [[nodiscard]] virtual int link(const std::string &from, const std::string &to);
  [[nodiscard]] virtual int rename(const std::string &from, const std::string &to);
  [[nodiscard]] virtual int remove(const std::string &path);
};

} // namespace outguard::store
