#pragma once
// Packed feeds: gzip, xz, zstd and zip, told by their first bytes, unpacked in memory within
// limits. The libraries open nothing and start no thread. No exceptions.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

namespace outguard::intel {

enum class Packing : std::uint8_t { None, Gzip, Xz, Zstd, Zip };
[[nodiscard]] Packing packing_of(std::span<const std::uint8_t> bytes);
[[nodiscard]] const char *to_string(Packing packing); ///< "" for None

struct UnpackLimits {
  std::size_t most_bytes = std::size_t{1} << 30; ///< in total
  /// Text packs 20 to 1 at best; beyond `ratio_from` more than that ratio is a bomb.
  std::size_t most_ratio = 250;
  std::size_t ratio_from = std::size_t{16} << 20;
  std::size_t most_members = 100; ///< each is told in one message
};

/// Or why not, in words.
using Unpacked = tl::expected<std::vector<std::uint8_t>, std::string>;

/// For all but zip. Members that follow each other (as `cat a.gz b.gz` makes) are one.
[[nodiscard]] Unpacked unpack(Packing packing, std::span<const std::uint8_t> bytes,
                              const UnpackLimits &limits = {});

/// A stretch of deflate without any wrapping, of known size when unpacked.
[[nodiscard]] Unpacked inflate_raw(std::span<const std::uint8_t> bytes, std::size_t size);

using MemberSink = std::function<void(const std::string &name, Unpacked bytes)>;
/// Every file of the archive in its order, also those that cannot be read. Not empty: why the
/// archive as a whole cannot.
[[nodiscard]] std::string unpack_zip(std::span<const std::uint8_t> bytes, const MemberSink &sink,
                                     const UnpackLimits &limits = {});

} // namespace outguard::intel
