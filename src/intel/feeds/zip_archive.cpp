// The zip container (PKWARE APPNOTE): its directory at the end is the only list of members; nothing
// that streams or spans volumes.
#include <algorithm>
#include <optional>

#include <zlib.h>

#include "intel/feeds/archive.h"

namespace outguard::intel {

namespace {

constexpr std::uint32_t kEndMagic = 0x06054b50;
constexpr std::uint32_t kEntryMagic = 0x02014b50;
constexpr std::uint32_t kLocalMagic = 0x04034b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kMaxComment = 65535;
constexpr std::size_t kMaxMemberName = 255;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;

using Bytes = std::span<const std::uint8_t>;

/// `size` bytes from `at`, or nothing when they are not all there.
std::optional<Bytes> part(Bytes bytes, std::size_t at, std::size_t size) {
  return at <= bytes.size() && size <= bytes.size() - at ? std::optional(bytes.subspan(at, size))
                                                         : std::nullopt;
}
/// Little-endian; within what `part` gave.
std::uint16_t u16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] | bytes[at + 1] << 8);
}
std::uint32_t u32(Bytes bytes, std::size_t at) {
  return u16(bytes, at) | static_cast<std::uint32_t>(u16(bytes, at + 2)) << 16;
}

struct Member {
  std::string name;
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::size_t packed = 0, size = 0, local = 0;
};

struct Directory {
  std::size_t at = 0, members = 0;
};

std::optional<Directory> find_directory(Bytes bytes) {
  if (bytes.size() < kEndBytes) {
    return std::nullopt;
  }
  const auto last = bytes.size() - kEndBytes;
  const auto first = last > kMaxComment ? last - kMaxComment : 0;
  for (auto at = last + 1; at-- > first;) {
    const auto end = bytes.subspan(at, kEndBytes);
    if (u32(end, 0) == kEndMagic && u16(end, 20) == bytes.size() - at - kEndBytes) {
      return Directory{u32(end, 16), u16(end, 10)};
    }
  }
  return std::nullopt;
}

/// Reads the entry at `at` and moves on to the next.
std::optional<Member> read_entry(Bytes bytes, std::size_t &at) {
  const auto fixed = part(bytes, at, kEntryBytes);
  if (!fixed || u32(*fixed, 0) != kEntryMagic) {
    return std::nullopt;
  }
  const auto name = part(bytes, at + kEntryBytes, u16(*fixed, 28));
  if (!name) {
    return std::nullopt;
  }
  Member member;
  const auto shown = name->first(std::min(name->size(), kMaxMemberName));
  member.name.assign(shown.begin(), shown.end());
  member.flags = u16(*fixed, 8);
  member.method = u16(*fixed, 10);
  member.crc = u32(*fixed, 16);
  member.packed = u32(*fixed, 20);
  member.size = u32(*fixed, 24);
  member.local = u32(*fixed, 42);
  at += kEntryBytes + name->size() + u16(*fixed, 30) + u16(*fixed, 32);
  return member;
}

tl::unexpected<std::string> cannot(const char *why) {
  return tl::unexpected<std::string>(why);
}

Unpacked read_member(Bytes bytes, const Member &member, const UnpackLimits &limits) {
  if ((member.flags & kEncrypted) != 0) {
    return cannot("encrypted");
  }
  const auto local = part(bytes, member.local, kLocalBytes);
  if (!local || u32(*local, 0) != kLocalMagic) {
    return cannot("broken zip data");
  }
  const auto packed =
      part(bytes, member.local + kLocalBytes + u16(*local, 26) + u16(*local, 28), member.packed);
  if (!packed) {
    return cannot("broken zip data");
  }
  if (member.size > limits.ratio_from && member.size / limits.most_ratio > member.packed) {
    return cannot("unpacks to too many times its size");
  }
  auto unpacked = member.method == kDeflated ? inflate_raw(*packed, member.size)
                  : member.method == kStored && member.packed == member.size
                      ? Unpacked(std::vector<std::uint8_t>(packed->begin(), packed->end()))
                      : cannot("packed by an unknown method");
  if (unpacked &&
      ::crc32_z(::crc32_z(0, nullptr, 0), unpacked->data(), unpacked->size()) != member.crc) {
    return cannot("wrong checksum");
  }
  return unpacked;
}

} // namespace

std::string unpack_zip(Bytes bytes, const MemberSink &sink, const UnpackLimits &limits) {
  const auto directory = find_directory(bytes);
  if (!directory) {
    return "broken zip data: no directory";
  }
  if (directory->members > limits.most_members) {
    return "zip of more than " + std::to_string(limits.most_members) + " files";
  }
  std::size_t unpacked = 0;
  std::size_t packed = 0;
  auto at = directory->at;
  for (std::size_t i = 0; i < directory->members; ++i) {
    const auto member = read_entry(bytes, at);
    if (!member) {
      return "broken zip directory";
    }
    if (member->name.ends_with('/')) {
      continue;
    }
    unpacked += member->size;
    packed += member->packed;
    if (unpacked > limits.most_bytes) {
      return "more than " + std::to_string(limits.most_bytes >> 20) + " MiB when unpacked";
    }
    if (packed > bytes.size()) {
      return "zip whose files overlap";
    }
    sink(member->name, read_member(bytes, *member, limits));
  }
  return {};
}

} // namespace outguard::intel
