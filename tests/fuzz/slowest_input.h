#pragma once
// The input on which a fuzzer takes longest, by processor time. Each input counts with the least of
// several runs, so that other work on the machine does not. One thread.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// Of the last call, nanoseconds of processor time by kind of step. A fuzzer whose input holds more
/// than one packet defines this, with a ScanClock; otherwise the whole call counts.
std::map<std::string, std::uint64_t> take_scan_times();

namespace outguard::fuzz {

class SlowestInput {
public:
  void measure(std::vector<std::uint8_t> bytes, const std::string &origin);
  /// Changes the slowest so far and keeps what is slower still. The same sequence on every machine,
  /// as far as their times agree.
  void measure_mutants(std::uint64_t count);

  /// One JSON object, one line.
  [[nodiscard]] std::string report() const;
  [[nodiscard]] const std::vector<std::uint8_t> &bytes() const;

private:
  struct Input {
    std::vector<std::uint8_t> bytes;
    std::string origin;
    std::uint64_t nanoseconds = 0;
  };
  [[nodiscard]] std::uint64_t time_of(const std::vector<std::uint8_t> &bytes) const;
  [[nodiscard]] std::vector<std::uint8_t> mutant();
  std::uint64_t random(std::uint64_t below);

  std::vector<Input> slowest_; ///< the slowest first
  std::uint64_t measured_ = 0;
  std::uint64_t state_ = 1;
};

} // namespace outguard::fuzz
