#pragma once
// The index image, as it lies in a file or memfd: little-endian, no pointers, sections at multiples
// of 8 bytes in the order of the header. Written by IndexBuilder, read by IntelImage, in other
// processes.

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "intel/key_hash.h"

namespace outguard::intel {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::array<char, 8> kImageMagic{'O', 'G', 'I', 'N', 'T', 'E', 'L', '\n'};
inline constexpr std::uint32_t kImageVersion = 1;
/// A look-up ends after so many slots, whatever the image holds. At most half of the slots are
/// used, so a chain of this length does not happen to an unknown seed; the builder checks.
inline constexpr std::uint32_t kMaxProbes = 256;
/// Sources that list one indicator and are told; more are counted only.
inline constexpr std::uint32_t kMaxMentions = 256;
/// 200 bytes each would be 5 GB: far past the design's 10 million, and offsets stay 32 bits.
inline constexpr std::uint32_t kMaxRecords = 1U << 24;
inline constexpr std::uint32_t kMaxSources = 65535;

struct Section {
  std::uint64_t offset = 0; ///< from the start of the image
  std::uint64_t count = 0;  ///< of elements
};

struct ImageHeader {
  std::array<char, 8> magic = kImageMagic;
  std::uint64_t checksum = 0; ///< over everything after this member; also the image's id
  std::uint32_t version = kImageVersion;
  std::uint32_t header_bytes = 0;
  std::uint64_t image_bytes = 0;
  HashSeed seed;
  std::uint64_t indicators = 0;               ///< different keys
  std::uint64_t prefixes_v4 = 0;              ///< bit n: some IPv4 network has prefix length n
  std::array<std::uint64_t, 2> prefixes_v6{}; ///< the same for IPv6; /128 is an address
  Section filter;                             ///< FilterWord
  Section slots;                              ///< Slot
  Section records;                            ///< Record
  Section sources;                            ///< SourceName
  Section arena;                              ///< bytes of keys and names
};

/// A blocked Bloom filter: one word a key, four bits in it. About 10 bits a key: a million fit L2.
using FilterWord = std::uint64_t;

/// Open addressing, linear probing; `record_plus_one` 0 is free.
struct Slot {
  std::uint32_t fingerprint = 0; ///< high half of the hash
  std::uint32_t record_plus_one = 0;
};

/// One mention of an indicator by a source. Mentions of one key stand together.
struct Record {
  static constexpr std::uint8_t kWithSubdomains = 1;
  static constexpr std::uint8_t kMoreFollow = 2; ///< the next record is of the same key

  std::uint32_t key_offset = 0; ///< in the arena
  std::uint16_t key_bytes = 0;
  std::uint16_t source = 0;
  std::uint32_t line = 0;
  std::uint8_t type = 0; ///< IndicatorType
  std::uint8_t prefix = 0;
  std::uint8_t confidence = 0;
  std::uint8_t flags = 0;
  std::int64_t valid_until = 0;
};

struct SourceName {
  std::uint32_t offset = 0; ///< in the arena
  std::uint32_t bytes = 0;
};

static_assert(std::has_unique_object_representations_v<ImageHeader>);
static_assert(sizeof(Slot) == 8 && sizeof(Record) == 24 && sizeof(SourceName) == 8);

inline constexpr std::size_t kChecksumStart = 16;

[[nodiscard]] inline std::size_t filter_word(std::uint64_t hash, std::size_t words) {
  return (hash >> 24) & (words - 1);
}
[[nodiscard]] inline FilterWord filter_bits(std::uint64_t hash) {
  const auto bit = [hash](unsigned shift) { return FilterWord{1} << (hash >> shift & 63); };
  return bit(0) | bit(6) | bit(12) | bit(18);
}
[[nodiscard]] inline std::uint32_t fingerprint(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32);
}
[[nodiscard]] inline std::uint64_t image_checksum(std::string_view bytes) {
  constexpr HashSeed kSeed{0x243f6a8885a308d3, 0x9e3779b97f4a7c15};
  return KeyHash(kSeed).add(kSeed.start, bytes.substr(kChecksumStart));
}

} // namespace outguard::intel
