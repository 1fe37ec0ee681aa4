#pragma once
// A read-only view of a whole file that does not change (a sealed memfd). Owns the mapping.

#include <cstdint>
#include <span>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::sensor {

class MappedFile {
public:
  /// Refuses an empty file, and a memfd that is not sealed against shrinking and writing.
  [[nodiscard]] static Result<MappedFile> open(const Fd &file);

  MappedFile(MappedFile &&other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile &operator=(MappedFile &&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }

  /// Whoever reads all of a large file once lets go of what it has read: until it is read again,
  /// it does not count as this process's memory.
  void release(std::span<const std::uint8_t> part) const;

private:
  explicit MappedFile(std::span<std::uint8_t> bytes) : bytes_(bytes) {}
  std::span<std::uint8_t> bytes_;
};

} // namespace outguard::sensor
