// Refreshes the table of all processes and sockets of a live guest at a rate, until a line or the
// end of its input. Prints "attached", and in the end its own share of one CPU as one JSON object.
//
//   refresh_loop TARGET TIMES_A_SECOND
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "live_guest.h"

int main(int argc, char **argv) {
  using namespace outguard;
  if (argc != 3) {
    std::fputs("usage: refresh_loop TARGET TIMES_A_SECOND\n", stderr);
    return 2;
  }
  const auto live = attach_to(argv[1]);
  const auto period =
      std::chrono::nanoseconds(std::chrono::seconds(1)) / std::max(1, std::atoi(argv[2]));
  std::puts("attached");
  std::fflush(stdout);
  const auto start = monotonic_now();
  const std::clock_t used = std::clock();
  pollfd input{STDIN_FILENO, POLLIN, 0};
  std::size_t refreshes = 0;
  for (auto due = start + period;; due += period) {
    static_cast<void>(live.linux_guest->processes());
    static_cast<void>(live.linux_guest->sockets());
    ++refreshes;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(due - monotonic_now());
    if (poll(&input, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0) {
      break;
    }
  }
  const double seconds = std::chrono::duration<double>(monotonic_now() - start).count();
  const double cpu = static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC;
  fmt::print("{{\"refreshes\": {}, \"seconds\": {:.2f}, \"cpu_share\": {:.5f}}}\n", refreshes,
             seconds, cpu / seconds);
  return 0;
}
