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
inline constexpr std::uint32_t kImageVersion = 4;
/// A look-up ends after so many slots, whatever the image holds. Three slots in five are used, so a
/// chain of this length does not happen to an unknown seed; the builder checks.
inline constexpr std::uint32_t kMaxProbes = 256;
/// Sources that list one indicator and are told; more are counted only.
inline constexpr std::uint32_t kMaxMentions = 256;
/// 200 bytes each would be 3.4 GB: far past the design's 10 million, and offsets stay 32 bits.
inline constexpr std::uint32_t kMaxRecords = 1U << 24;
inline constexpr std::uint32_t kMaxSources = 65535;

/// Where a source states no confidence, as plain lists do.
inline constexpr std::uint8_t kListConfidence = 75;

/// What a record says of its key. A key may have each role, apart from the others.
enum class Role : std::uint8_t {
  Indicator = 0,
  Allowed = 0x40, ///< what it covers is not told, whoever lists it
  Removed = 0x80, ///< in a delta: the base's indicator of this key is no more
};
inline constexpr std::uint8_t kTypeBits = 0x3f;
/// In the filter only: some URL prefix of any role has this authority. The hash's prefix byte is
/// the type.
inline constexpr std::uint8_t kPrefixGate = 0x3f;

[[nodiscard]] constexpr std::uint8_t kind_of(Role role, IndicatorType type) {
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(role) |
                                   static_cast<std::uint8_t>(type));
}

struct Section {
  std::uint64_t offset = 0; ///< from the start of the image
  std::uint64_t count = 0;  ///< of elements
};

/// Bit n: some network has prefix length n. /32 and /128 are addresses.
struct PrefixLengths {
  std::uint64_t v4 = 0;
  std::array<std::uint64_t, 2> v6{};
};

struct ImageHeader {
  std::array<char, 8> magic = kImageMagic;
  std::uint64_t checksum = 0; ///< over the rest of the header; also the image's id
  std::uint32_t version = kImageVersion;
  std::uint32_t header_bytes = 0;
  std::uint64_t image_bytes = 0;
  std::uint64_t content_checksum = 0; ///< over everything behind the header
  HashSeed seed;
  std::uint64_t indicators = 0; ///< different keys
  std::uint64_t allowed = 0;    ///< likewise
  std::uint64_t removed = 0;    ///< likewise
  PrefixLengths networks;       ///< of indicators
  PrefixLengths allowed_networks;
  std::uint64_t domain_labels = 0; ///< bit n: some domain of any role has n labels; 63: or more
  std::uint64_t types = 0;         ///< bit n: some indicator is of IndicatorType n
  Section filter;                  ///< FilterWord
  Section slots;                   ///< Slot
  Section records;                 ///< Record
  Section abouts;                  ///< About
  Section tags;                    ///< std::uint32_t, texts; an About names a run of them
  Section sources;                 ///< SourceName
  Section lengths_v4;              ///< std::uint32_t: PrefixLengths::v4 of each /8 or /16
  Section url_lengths; ///< std::uint64_t, kUrlLengthWords; bit n: a prefix of n bytes, any role
  Section arena;       ///< bytes of keys
  Section texts;       ///< 16 bits of length, then the bytes; 0 is no text
};

/// A blocked Bloom filter: one word a key, four bits in it. A million keys fit L2.
using FilterWord = std::uint64_t;
inline constexpr std::size_t kFilterBitsPerKey = 12;

/// Of each /8 where networks are few, else of each /16. The first fits L1 beside a base's filter.
inline constexpr std::size_t kLengthsFew = 256, kLengthsMany = 65536;
inline constexpr std::size_t kLengthsManyFrom = 64; ///< networks
inline constexpr std::size_t kUrlLengthWords = 34;  ///< a canonical URL is a little over 2048 bytes

/// Open addressing, linear probing; `record_plus_one` 0 is free.
struct Slot {
  std::uint32_t fingerprint = 0; ///< low half of the hash
  std::uint32_t record_plus_one = 0;
};

/// One mention of a key by a source. Mentions of one key stand together, the surest first.
struct Record {
  static constexpr std::uint8_t kWide = 1;       ///< with subdomains; as a prefix
  static constexpr std::uint8_t kMoreFollow = 2; ///< the next record is of the same key
  static constexpr std::uint8_t kHasBegin = 4;   ///< its About has a valid_from

  std::uint32_t key = 0; ///< in the arena; a key of at most 4 bytes stands here itself
  std::uint16_t key_bytes = 0;
  std::uint16_t source = 0;
  std::uint32_t line = 0;
  std::uint8_t kind = 0; ///< Role and IndicatorType
  std::uint8_t prefix = 0;
  std::uint8_t confidence = 0;
  std::uint8_t flags = 0;
  std::uint32_t about = 0;       ///< index plus one; 0: nothing to tell
  std::uint32_t valid_until = 0; ///< stored_time()
};

/// What a source says beside value and confidence; shared by all records that say the same. Texts
/// are offsets in `texts`.
struct About {
  std::uint32_t id = 0;
  std::uint32_t description = 0;
  std::uint32_t first_tag = 0;
  std::uint32_t first_seen = 0; ///< stored_time(), as the next
  std::uint32_t last_seen = 0;
  std::uint32_t valid_from = 0;
  std::uint8_t tag_count = 0;
  std::uint8_t tlp = 0;
  std::uint8_t severity = 0;
  std::uint8_t unused = 0;

  bool operator==(const About &) const = default;
};

using SourceName = std::uint32_t; ///< a text

static_assert(std::has_unique_object_representations_v<ImageHeader>);
static_assert(std::has_unique_object_representations_v<About>);
static_assert(sizeof(Slot) == 8 && sizeof(Record) == 24 && sizeof(About) == 28);

/// Seconds since the epoch in 32 bits, to 2106; 0: not given. What lies outside becomes the
/// nearest.
[[nodiscard]] constexpr std::uint32_t stored_time(std::int64_t seconds) {
  if (seconds == 0) {
    return 0;
  }
  return seconds < 1 ? 1 : seconds > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(seconds);
}

/// The bit of ImageHeader::domain_labels.
[[nodiscard]] constexpr std::uint64_t label_bit(std::size_t labels) {
  return std::uint64_t{1} << (labels < 63 ? labels : 63);
}

/// `hash` as a number below `count`, by its high bits.
[[nodiscard]] inline std::uint64_t scaled(std::uint64_t hash, std::uint64_t count) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(Wide{hash} * count >> 64);
}
[[nodiscard]] inline std::uint64_t first_slot(std::uint64_t hash, std::uint64_t slots) {
  return scaled(hash, slots);
}
[[nodiscard]] inline std::uint64_t filter_word(std::uint64_t hash, std::uint64_t words) {
  return scaled(hash << 32, words);
}
[[nodiscard]] inline FilterWord filter_bits(std::uint64_t hash) {
  const auto bit = [hash](unsigned shift) { return FilterWord{1} << (hash >> shift & 63); };
  return bit(32) | bit(38) | bit(44) | bit(50);
}
[[nodiscard]] inline std::uint32_t fingerprint(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash);
}

inline constexpr std::size_t kChecksumStart = 16;
inline constexpr HashSeed kChecksumSeed{0x243f6a8885a308d3, 0x9e3779b97f4a7c15};

/// Of everything behind the header, handed over part by part. Four chains side by side: one would
/// wait for the multiplier at each word.
class ContentChecksum {
public:
  /// Parts but the last are whole blocks long.
  static constexpr std::size_t kBlockBytes = 32;

  void add(std::string_view part) {
    for (; part.size() >= kBlockBytes; part.remove_prefix(kBlockBytes)) {
      for (std::size_t i = 0; i < chains_.size(); ++i) {
        chains_[i] = hash_.add_word(chains_[i], part.data() + i * sizeof(std::uint64_t));
      }
    }
    last_ = part;
  }
  /// While the last part is there.
  [[nodiscard]] std::uint64_t value() const {
    auto state = hash_.add(kChecksumSeed.start, last_);
    for (const auto chain : chains_) {
      state = hash_.add(state, {reinterpret_cast<const char *>(&chain), sizeof chain});
    }
    return state;
  }

private:
  KeyHash hash_{kChecksumSeed};
  std::array<std::uint64_t, 4> chains_{1, 2, 3, 4};
  std::string_view last_;
};

[[nodiscard]] inline std::uint64_t content_checksum(std::string_view content) {
  ContentChecksum checksum;
  checksum.add(content);
  return checksum.value();
}
[[nodiscard]] inline std::uint64_t header_checksum(const ImageHeader &header) {
  const std::string_view bytes(reinterpret_cast<const char *>(&header), sizeof header);
  return KeyHash(kChecksumSeed).add(kChecksumSeed.start, bytes.substr(kChecksumStart));
}

} // namespace outguard::intel
