#include "fuzz/slowest_input.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
__attribute__((weak)) std::map<std::string, std::uint64_t> take_scan_times() {
  return {};
}

namespace outguard::fuzz {

namespace {

constexpr std::size_t kMostKept = 8;
constexpr int kRuns = 5; ///< of an input that may be among the slowest
constexpr std::size_t kMostBytes = 65536;
constexpr std::size_t kMostCopied = 4096;

std::uint64_t processor_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t time_once(const std::vector<std::uint8_t> &bytes) {
  const std::uint64_t start = processor_ns();
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  const std::uint64_t whole = processor_ns() - start;
  const auto steps = take_scan_times();
  std::uint64_t most = 0;
  for (const auto &[name, time] : steps) {
    most = std::max(most, time);
  }
  return steps.empty() ? whole : most;
}

} // namespace

std::uint64_t SlowestInput::time_of(const std::vector<std::uint8_t> &bytes) const {
  const std::uint64_t enough = slowest_.size() < kMostKept ? 0 : slowest_.back().nanoseconds;
  std::uint64_t least = time_once(bytes);
  for (int run = 1; run < kRuns && least > enough; ++run) {
    least = std::min(least, time_once(bytes));
  }
  return least;
}

void SlowestInput::measure(std::vector<std::uint8_t> bytes, const std::string &origin) {
  ++measured_;
  const std::uint64_t time = time_of(bytes);
  if (slowest_.size() == kMostKept && time <= slowest_.back().nanoseconds) {
    return;
  }
  const auto place = std::find_if(slowest_.begin(), slowest_.end(),
                                  [time](const Input &each) { return each.nanoseconds < time; });
  slowest_.insert(place, Input{std::move(bytes), origin, time});
  slowest_.resize(std::min(slowest_.size(), kMostKept));
}

void SlowestInput::measure_mutants(std::uint64_t count) {
  for (std::uint64_t made = 0; made < count && !slowest_.empty(); ++made) {
    measure(mutant(), "mutant " + std::to_string(made));
  }
}

/// What makes a parser slow is most often more of the same: pieces are repeated, or taken from
/// another slow input; now and then a byte is something else.
std::vector<std::uint8_t> SlowestInput::mutant() {
  auto bytes = slowest_[random(slowest_.size())].bytes;
  for (std::uint64_t changes = 1 + random(4); changes > 0; --changes) {
    const auto &other = random(2) == 0 ? bytes : slowest_[random(slowest_.size())].bytes;
    if (random(3) != 0 && !other.empty()) {
      const std::size_t from = random(other.size());
      const std::size_t length = 1 + random(std::min(other.size() - from, kMostCopied));
      const auto begin = other.begin() + static_cast<std::ptrdiff_t>(from);
      const std::vector<std::uint8_t> piece(begin, begin + static_cast<std::ptrdiff_t>(length));
      const auto place = static_cast<std::ptrdiff_t>(random(bytes.size() + 1));
      for (std::uint64_t times = std::uint64_t{1} << random(6); times > 0; --times) {
        bytes.insert(bytes.begin() + place, piece.begin(), piece.end());
      }
    } else if (!bytes.empty()) {
      bytes[random(bytes.size())] = static_cast<std::uint8_t>(random(256));
    }
    bytes.resize(std::min(bytes.size(), kMostBytes));
  }
  return bytes;
}

std::uint64_t SlowestInput::random(std::uint64_t below) { // splitmix64
  std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
  z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
  return (z ^ z >> 31) % below;
}

const std::vector<std::uint8_t> &SlowestInput::bytes() const {
  static const std::vector<std::uint8_t> kNone;
  return slowest_.empty() ? kNone : slowest_.front().bytes;
}

std::string SlowestInput::report() const {
  const Input none;
  const Input &worst = slowest_.empty() ? none : slowest_.front();
  char line[256];
  std::snprintf(
      line, sizeof line, R"({"inputs": %llu, "slowest_us": %.2f, "bytes": %zu, "input": "%.100s"})",
      static_cast<unsigned long long>(measured_), static_cast<double>(worst.nanoseconds) / 1e3,
      worst.bytes.size(), worst.origin.c_str());
  return line;
}

} // namespace outguard::fuzz
