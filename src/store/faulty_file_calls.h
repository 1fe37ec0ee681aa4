#pragma once
// The journal's system calls, of which a chosen one fails: for tests.

#include <cerrno>

#include "store/file_calls.h"

namespace outguard::store {

struct Fault {
  int error = 0; ///< 0: a write is short, then there is no space; other calls work
};

class FaultyFileCalls final : public FileCalls {
public:
  /// The nth call from now on; `lasting`: and all after it.
  void fail_at(unsigned nth, Fault fault, bool lasting) {
    nth_ = calls_ + nth;
    fault_ = fault;
    lasting_ = lasting;
  }
  void heal() { nth_ = 0; }
  [[nodiscard]] unsigned calls() const { return calls_; }

  int open(const std::string &path, int flags, mode_t mode) override {
    return fails() ? -1 : FileCalls::open(path, flags, mode);
  }
  ssize_t read(int file, char *to, std::size_t size) override {
    return fails() ? -1 : FileCalls::read(file, to, size);
  }
  ssize_t write(int file, const char *from, std::size_t size) override {
    ++calls_;
    if (short_) {
      short_ = lasting_;
      errno = ENOSPC;
      return -1;
    }
    if (!is_now()) {
      return FileCalls::write(file, from, size);
    }
    if (fault_.error != 0) {
      errno = fault_.error;
      return -1;
    }
    short_ = true;
    return FileCalls::write(file, from, (size + 1) / 2);
  }
  int fsync(int file) override { return fails() ? -1 : FileCalls::fsync(file); }
  int truncate(int file, off_t size) override {
    return fails() ? -1 : FileCalls::truncate(file, size);
  }
  int stat(int file, struct stat &found) override {
    return fails() ? -1 : FileCalls::stat(file, found);
  }
  int lock(int file) override { return fails() ? -1 : FileCalls::lock(file); }
  int link(const std::string &from, const std::string &to) override {
    return fails() ? -1 : FileCalls::link(from, to);
  }
  int rename(const std::string &from, const std::string &to) override {
    return fails() ? -1 : FileCalls::rename(from, to);
  }
  int remove(const std::string &path) override { return fails() ? -1 : FileCalls::remove(path); }

private:
  [[nodiscard]] bool is_now() const {
    return nth_ != 0 && (calls_ == nth_ || (lasting_ && calls_ > nth_));
  }
  [[nodiscard]] bool fails() {
    ++calls_;
    if (!is_now() || fault_.error == 0) {
      return false;
    }
    errno = fault_.error;
    return true;
  }

  unsigned calls_ = 0, nth_ = 0;
  Fault fault_;
  bool lasting_ = false, short_ = false;
};

} // namespace outguard::store
