#pragma once
// A tar archive (POSIX ustar: every tar reads it), packed by zstd as it is written. Reads each part
// once: what is hashed is what is packed. Ends at a cap on the packed bytes. One thread; borrows
// the file.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

struct ZSTD_CCtx_s; // zstd's ZSTD_CCtx

namespace outguard::sensor {

class ArchiveWriter {
public:
  /// `folder`: of all members. InvalidInput: not a plain name.
  [[nodiscard]] static Result<ArchiveWriter> open(int file, std::string folder,
                                                  std::uint64_t most_bytes);

  /// The first `bytes` of `part`, zeros where that is shorter; its SHA-256 in hexadecimal digits.
  [[nodiscard]] Result<std::string> add(const std::string &name, const Fd &part,
                                        std::uint64_t bytes, std::int64_t time_ns);
  [[nodiscard]] Result<void> finish();

private:
  struct Free {
    void operator()(ZSTD_CCtx_s *context) const;
  };
  ArchiveWriter(int file, std::string folder, std::uint64_t most_bytes);
  enum class More : std::uint8_t { Follows, Ends };
  [[nodiscard]] Result<void> pack(const std::uint8_t *bytes, std::size_t count, More more);
  [[nodiscard]] Result<void> write(const std::uint8_t *bytes, std::size_t count);

  int file_;
  std::string folder_;
  std::uint64_t left_; ///< packed bytes
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  std::vector<std::uint8_t> in_, out_;
};

} // namespace outguard::sensor
