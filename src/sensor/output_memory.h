#pragma once
// A memfd to write into, of a size that nobody can change any more. Owns the mapping.

#include <cstdint>
#include <span>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::sensor {

class OutputMemory {
public:
  /// Refuses an empty one, and one that is not sealed against growing and shrinking.
  [[nodiscard]] static Result<OutputMemory> open(const Fd &file);

  OutputMemory(OutputMemory &&other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  OutputMemory &operator=(OutputMemory &&) = delete;
  ~OutputMemory();

  [[nodiscard]] std::span<std::uint8_t> bytes() const { return bytes_; }

private:
  explicit OutputMemory(std::span<std::uint8_t> bytes) : bytes_(bytes) {}
  std::span<std::uint8_t> bytes_;
};

} // namespace outguard::sensor
