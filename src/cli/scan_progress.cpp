#include "cli/scan_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"

namespace outguard::cli {

namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr int kBarLetters = 30;

std::string line_of(const ScanProgress &scan, std::chrono::duration<double> since) {
  const double share =
      static_cast<double>(scan.done) / static_cast<double>(std::max<std::uint64_t>(scan.total, 1));
  const int full = static_cast<int>(std::min(share, 1.0) * kBarLetters);
  return fmt::format(
      "\rlooking for a kernel in all memory [{:<{}}] {:3.0f} % of {} MiB, {:.0f} MiB/s",
      std::string(static_cast<std::size_t>(full), '#'), kBarLetters, share * 100, scan.total >> 20,
      static_cast<double>(scan.done >> 20) / since.count());
}

} // namespace

ScanProgressLine::ScanProgressLine(launch::SensorProcess &sensor) {
  if (::isatty(STDERR_FILENO) != 0) {
    thread_ = std::thread([this, &sensor] { show(sensor); });
  }
}

ScanProgressLine::~ScanProgressLine() {
  ended_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ScanProgressLine::show(launch::SensorProcess &sensor) {
  const auto start = monotonic_now();
  bool shown = false;
  while (!ended_) {
    const auto event = sensor.next_event(kTick);
    if (!event) {
      break;
    }
    if (const auto *scan = *event ? std::get_if<ScanProgress>(&**event) : nullptr) {
      fmt::print(stderr, "{}", line_of(*scan, monotonic_now() - start));
      shown = true;
    }
  }
  if (shown) {
    fmt::print(stderr, "\r\033[K");
  }
}

} // namespace outguard::cli
