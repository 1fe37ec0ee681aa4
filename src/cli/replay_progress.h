#pragma once
// One line on standard error, where that is a terminal: how far a replay has come. One thread.

#include <cstdint>

#include "base/clock.h"
#include "facts/messages.h"

namespace outguard::cli {

class ReplayProgressLine {
public:
  /// `total`: bytes of the file; 0: not known (a pipe).
  explicit ReplayProgressLine(std::uint64_t total);
  ~ReplayProgressLine() { clear(); }
  ReplayProgressLine(const ReplayProgressLine &) = delete;
  ReplayProgressLine &operator=(const ReplayProgressLine &) = delete;

  void show(const ReplayProgress &progress);
  /// Before anything else is printed on the terminal.
  void clear();

private:
  std::uint64_t total_;
  MonotonicTime start_ = monotonic_now();
  bool is_terminal_;
  bool shown_ = false;
};

} // namespace outguard::cli
