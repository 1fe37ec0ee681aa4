#pragma once
// The processor time of the slowest call of each kind. For campaigns: a call on a hostile guest
// must not only end but end soon. One thread.

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <map>
#include <string>
#include <utility>

namespace outguard::guest {

class ScanClock {
public:
  /// What the call returns.
  template <class Call> auto time(const char *name, Call call) {
    const std::uint64_t start = now();
    auto result = call();
    std::uint64_t &worst = worst_[name];
    worst = std::max(worst, now() - start);
    return result;
  }
  /// In nanoseconds; forgets them.
  [[nodiscard]] std::map<std::string, std::uint64_t> take() { return std::exchange(worst_, {}); }

private:
  static std::uint64_t now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
  }

  std::map<std::string, std::uint64_t> worst_;
};

} // namespace outguard::guest
