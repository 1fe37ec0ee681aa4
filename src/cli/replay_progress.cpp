#include "cli/replay_progress.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace outguard::cli {

namespace {

constexpr int kBarLetters = 30;

std::string bar(std::uint64_t done, std::uint64_t total) {
  if (total == 0) {
    return fmt::format("{} MiB", done >> 20);
  }
  const double share = std::min(static_cast<double>(done) / static_cast<double>(total), 1.0);
  return fmt::format("[{:<{}}] {:3.0f} % of {} MiB",
                     std::string(static_cast<std::size_t>(share * kBarLetters), '#'), kBarLetters,
                     share * 100, total >> 20);
}

} // namespace

ReplayProgressLine::ReplayProgressLine(std::uint64_t total)
    : total_(total), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

void ReplayProgressLine::show(const ReplayProgress &progress) {
  if (!is_terminal_) {
    return;
  }
  const double seconds =
      std::max(std::chrono::duration<double>(monotonic_now() - start_).count(), 0.001);
  fmt::print(stderr, "\r\033[K{}, {} packets, {:.2f} M/s", bar(progress.bytes, total_),
             progress.packets, static_cast<double>(progress.packets) / seconds / 1e6);
  shown_ = true;
}

void ReplayProgressLine::clear() {
  if (shown_) {
    fmt::print(stderr, "\r\033[K");
    shown_ = false;
  }
}

} // namespace outguard::cli
