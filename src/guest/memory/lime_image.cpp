#include "guest/memory/lime_image.h"

#include <algorithm>

namespace outguard::guest {
namespace {

struct LimeHeader { // LiME, doc/README.md: little-endian
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t first; ///< guest-physical
  std::uint64_t last;  ///< inclusive
  std::uint64_t reserved;
};
static_assert(sizeof(LimeHeader) == 32);

constexpr std::uint32_t kMagic = 0x4c69'4d45;
/// A machine has tens of System RAM resources; AVML cuts ranges, but not below a MiB or so.
constexpr std::size_t kMaxRanges = std::size_t{1} << 20;

} // namespace

Opened<std::vector<DumpSegment>> parse_lime_image(const FileBytes &file) {
  std::vector<DumpSegment> segments;
  for (std::uint64_t at = 0; at < file.size();) {
    const auto header = file.read_as<LimeHeader>(at);
    if (!header) {
      return tl::unexpected(header.error());
    }
    if (header->magic != kMagic) {
      return problem("a LiME image with something else between its ranges", at);
    }
    if (header->version != 1) {
      return problem("a LiME image of another version than 1", at);
    }
    if (header->last < header->first || header->last == UINT64_MAX) {
      return problem("a LiME range that ends before it begins", at);
    }
    const std::uint64_t length = header->last - header->first + 1;
    if (!file.holds(at + sizeof *header, length)) {
      return problem("truncated: a LiME range reaches past the end of the file", at);
    }
    if (segments.size() == kMaxRanges) {
      return problem("a LiME image of too many ranges", at);
    }
    segments.push_back({header->first, length, at + sizeof *header});
    at += sizeof *header + length;
  }
  std::sort(segments.begin(), segments.end(), [](const DumpSegment &a, const DumpSegment &b) {
    return a.guest_start < b.guest_start;
  });
  const auto clash = std::adjacent_find(segments.begin(), segments.end(),
                                        [](const DumpSegment &a, const DumpSegment &b) {
                                          return b.guest_start - a.guest_start < a.length;
                                        });
  if (clash != segments.end()) {
    return problem("a LiME image whose ranges overlap", std::next(clash)->file_offset);
  }
  return segments;
}

} // namespace outguard::guest
