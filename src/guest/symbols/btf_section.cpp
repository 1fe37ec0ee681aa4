#include "guest/symbols/btf_section.h"

#include <algorithm>
#include <array>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {
namespace {

constexpr std::uint16_t kMagic = 0xeb9f;
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxHeaderBytes = 256;
constexpr int kMostTries = 16; ///< the magic may stand elsewhere by chance; a guest may plant many

Result<std::vector<std::uint8_t>> copy_section(const AddressSpace &space, GuestVirtual start) {
  std::array<std::uint8_t, kBtfHeaderBytes> header{};
  if (const auto done = space.read(start, header); !done) {
    return tl::unexpected(done.error());
  }
  const auto length = btf_length(header);
  if (!length) {
    return tl::unexpected(length.error());
  }
  std::vector<std::uint8_t> section(*length);
  if (const auto done = space.read(start, section); !done) {
    return tl::unexpected(done.error());
  }
  return section;
}

} // namespace

Result<std::size_t> btf_length(std::span<const std::uint8_t> bytes) {
  ByteCursor cursor(bytes);
  if (cursor.le16().value_or(0) != kMagic || cursor.u8().value_or(0) != kVersion ||
      cursor.u8().value_or(1) != 0) {
    return fault(FaultCode::Malformed);
  }
  std::uint64_t words[5] = {}; // header length, type offset and length, string offset and length
  for (std::uint64_t &word : words) {
    const auto read = cursor.le32();
    if (!read) {
      return tl::unexpected(read.error());
    }
    word = *read;
  }
  const auto [header, type_offset, type_length, string_offset, string_length] = words;
  const std::uint64_t end =
      header + std::max(type_offset + type_length, string_offset + string_length);
  if (header < kBtfHeaderBytes || header > kMaxHeaderBytes || type_length == 0 ||
      string_length == 0) {
    return fault(FaultCode::Malformed);
  }
  return end > kMaxBtfBytes ? fault(FaultCode::LimitReached) : Result<std::size_t>(end);
}

Result<std::vector<std::uint8_t>> copy_btf(const AddressSpace &space,
                                           std::span<const ImageRun> image,
                                           std::optional<GuestVirtual> start) {
  if (start) {
    return copy_section(space, *start);
  }
  constexpr std::array<std::uint8_t, 4> kStart{kMagic & 0xff, kMagic >> 8, kVersion, 0};
  int tries = kMostTries;
  for (const ImageRun &run : image) {
    const auto bytes = copy_run(space, run);
    if (!bytes && bytes.error().code == FaultCode::SourceGone) {
      return tl::unexpected(bytes.error());
    }
    if (!bytes) {
      continue;
    }
    for (auto at = bytes->begin(); tries > 0; ++at, --tries) {
      at = std::search(at, bytes->end(), kStart.begin(), kStart.end());
      if (at == bytes->end()) {
        break;
      }
      const auto position = static_cast<std::uint64_t>(at - bytes->begin());
      if (auto section = copy_section(space, run.start.plus_wrapping(position))) {
        return section;
      }
    }
  }
  return fault(FaultCode::NotFound);
}

} // namespace outguard::guest
