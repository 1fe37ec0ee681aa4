#include "guest/packets/capture_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace outguard::guest {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint32_t kPcapMicros = 0xa1b2c3d4;
constexpr std::uint32_t kPcapNanos = 0xa1b23c4d;
constexpr std::uint32_t kPcapModified = 0xa1b2cd34;
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a; ///< the same in both byte orders
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kPacket = 2; ///< obsolete, still written by old tools
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kEnhancedPacket = 6;

constexpr std::size_t kPcapFileHeader = 24;
constexpr std::size_t kBlockFrame = 12; ///< type and length before, length behind
/// A block that is read whole: a packet with its options.
constexpr std::uint32_t kMaxBlock = kMaxCapturedPacket + 64 * 1024;

std::uint32_t swapped(std::uint32_t value) {
  return __builtin_bswap32(value);
}

std::uint32_t little(Bytes bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.subspan(at, sizeof value).data(), sizeof value); // x86-64 only
  return value;
}

/// As it is in a pcap file, in the writer's byte order.
struct PcapRecord {
  std::uint32_t seconds, fraction, captured, original;
};

PcapRecord swapped(const PcapRecord &record) {
  return {swapped(record.seconds), swapped(record.fraction), swapped(record.captured),
          swapped(record.original)};
}

CaptureReader::Step broken(const char *reason) {
  return {CaptureReader::Outcome::Broken, 0, {}, reason};
}
CaptureReader::Step skipped(std::uint64_t used) {
  return {CaptureReader::Outcome::Skipped, used};
}
CaptureReader::Step bad(std::uint64_t used) {
  return {CaptureReader::Outcome::Bad, used};
}

constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max() / 2;

/// Nanoseconds since the epoch; times that no clock shows become the nearest end of the scale.
std::int64_t to_nanoseconds(std::uint64_t ticks, std::uint64_t ticks_per_second,
                            std::int64_t offset_seconds) {
  constexpr std::uint64_t kBillion = 1'000'000'000;
  const std::uint64_t seconds = ticks / ticks_per_second;
  const auto fraction =
      static_cast<std::uint64_t>(static_cast<long double>(ticks % ticks_per_second) * kBillion /
                                 static_cast<long double>(ticks_per_second));
  std::int64_t whole = 0;
  std::int64_t result = 0;
  if (seconds > static_cast<std::uint64_t>(kLatest / 1'000'000'000) ||
      __builtin_add_overflow(static_cast<std::int64_t>(seconds), offset_seconds, &whole) ||
      __builtin_mul_overflow(whole, std::int64_t{1'000'000'000}, &result) || result > kLatest) {
    return kLatest;
  }
  return std::max<std::int64_t>(result + static_cast<std::int64_t>(fraction), 0);
}

/// if_tsresol: a power of ten, or of two with the top bit. 0: no clock ticks like that.
std::uint64_t ticks_of(std::uint8_t resolution) {
  const unsigned exponent = resolution & 0x7fU;
  if ((resolution & 0x80) != 0) {
    return exponent < 64 ? std::uint64_t{1} << exponent : 0;
  }
  std::uint64_t ticks = 1;
  for (unsigned i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(ticks, std::uint64_t{10}, &ticks)) {
      return 0;
    }
  }
  return ticks;
}

std::uint32_t padded(std::uint32_t length) {
  return (length + 3) & ~3U;
}

} // namespace

inline std::uint32_t CaptureReader::u32(Bytes bytes, std::size_t at) const {
  const std::uint32_t value = little(bytes, at);
  return big_endian_ ? swapped(value) : value;
}

inline std::uint16_t CaptureReader::u16(Bytes bytes, std::size_t at) const {
  const auto two = bytes.subspan(at, 2);
  return static_cast<std::uint16_t>(big_endian_ ? two[0] << 8 | two[1] : two[1] << 8 | two[0]);
}

CaptureReader::Step CaptureReader::next(Bytes bytes) {
  switch (format_) {
  case Format::Unknown:
    return file_header(bytes);
  case Format::Pcap:
    return pcap_record(bytes);
  case Format::PcapNg:
    return block(bytes);
  }
  return {};
}

CaptureReader::Step CaptureReader::file_header(Bytes bytes) {
  if (bytes.size() < 4) {
    return {};
  }
  std::uint32_t magic = little(bytes, 0);
  if (magic == kSectionHeader) {
    format_ = Format::PcapNg;
    return block(bytes);
  }
  const auto known = [](std::uint32_t value) {
    return value == kPcapMicros || value == kPcapNanos || value == kPcapModified;
  };
  big_endian_ = !known(magic);
  magic = big_endian_ ? swapped(magic) : magic;
  if (!known(magic)) {
    return broken("neither pcap nor pcapng: unknown magic number");
  }
  if (bytes.size() < kPcapFileHeader) {
    return {};
  }
  if (u16(bytes, 4) != 2) {
    return broken("pcap version is not 2");
  }
  format_ = Format::Pcap;
  modified_ = magic == kPcapModified;
  const std::uint64_t ticks = magic == kPcapNanos ? 1'000'000'000 : 1'000'000;
  // The upper half of the field says something about frame check sequences.
  interfaces_.push_back({u16(bytes, big_endian_ ? 22 : 20), u32(bytes, 16), ticks, 0});
  return skipped(kPcapFileHeader);
}

CaptureReader::Run CaptureReader::run(Bytes bytes, std::span<PacketView> out) const {
  if (format_ != Format::Pcap) {
    return {};
  }
  const std::size_t header = record_header();
  const Interface &interface = interfaces_.front();
  const bool nanoseconds = interface.ticks_per_second == 1'000'000'000;
  const std::uint32_t most = nanoseconds ? 999'999'999 : 999'999;
  const std::int64_t scale = nanoseconds ? 1 : 1000;
  Run run;
  for (PacketView &view : out) {
    PcapRecord record;
    if (bytes.size() < header) {
      break;
    }
    std::memcpy(&record, bytes.data(), sizeof record);
    record = big_endian_ ? swapped(record) : record;
    if (record.captured > std::min<std::size_t>(bytes.size() - header, kMaxCapturedPacket)) {
      break;
    }
    view = PacketView{};
    view.bytes = bytes.subspan(header, record.captured);
    view.original_length = std::max(record.original, record.captured);
    view.link = static_cast<LinkType>(interface.link);
    view.timestamp_ns = std::int64_t{record.seconds} * 1'000'000'000 +
                        std::int64_t{std::min(record.fraction, most)} * scale;
    ++run.packets;
    run.used += header + record.captured;
    bytes = bytes.subspan(header + record.captured);
  }
  return run;
}

CaptureReader::Step CaptureReader::pcap_record(Bytes bytes) const {
  Step step{Outcome::Packet};
  step.used = run(bytes, {&step.packet, 1}).used;
  if (step.used != 0) {
    return step;
  }
  const bool is_damaged = bytes.size() >= record_header() && u32(bytes, 8) > kMaxCapturedPacket;
  return is_damaged ? broken("packet record longer than any packet: the file is damaged here")
                    : Step{};
}

CaptureReader::Step CaptureReader::block(Bytes bytes) {
  if (bytes.size() < kBlockFrame) {
    return {};
  }
  if (little(bytes, 0) == kSectionHeader) {
    return section_header(bytes);
  }
  const std::uint32_t type = u32(bytes, 0);
  const std::uint32_t length = u32(bytes, 4);
  if (length < kBlockFrame || length % 4 != 0) {
    return broken("pcapng block with an impossible length");
  }
  const bool wanted =
      type == kInterface || type == kPacket || type == kSimplePacket || type == kEnhancedPacket;
  if (!wanted) {
    return skipped(length);
  }
  if (length > kMaxBlock) {
    return broken("pcapng block longer than any packet: the file is damaged here");
  }
  if (bytes.size() < length) {
    return {};
  }
  if (u32(bytes, length - 4) != length) {
    return broken("pcapng block whose two lengths differ");
  }
  const auto body = bytes.subspan(8, length - kBlockFrame);
  return type == kInterface ? interface_block(body, length) : packet_block(type, body, length);
}

CaptureReader::Step CaptureReader::section_header(Bytes bytes) {
  const std::uint32_t magic = little(bytes, 8);
  if (magic != kByteOrderMagic && swapped(magic) != kByteOrderMagic) {
    return broken("pcapng section header without a byte-order magic");
  }
  big_endian_ = magic != kByteOrderMagic;
  const std::uint32_t length = u32(bytes, 4);
  if (length < 28 || length % 4 != 0) {
    return broken("pcapng section header with an impossible length");
  }
  if (bytes.size() < 16) {
    return {};
  }
  if (u16(bytes, 12) != 1) {
    return broken("pcapng major version is not 1");
  }
  interfaces_.clear(); // interface numbers begin anew in each section
  return skipped(length);
}

CaptureReader::Step CaptureReader::interface_block(Bytes body, std::uint64_t used) {
  if (body.size() < 8) {
    return broken("pcapng interface block too short");
  }
  if (interfaces_.size() >= kMaxInterfaces) {
    return broken("pcapng section with more than 4096 interfaces");
  }
  Interface interface { u16(body, 0), u32(body, 4) };
  for (std::size_t at = 8; at + 4 <= body.size();) {
    const std::uint16_t code = u16(body, at);
    const std::uint16_t length = u16(body, at + 2);
    at += 4;
    if (code == 0 || length > body.size() - at) {
      break;
    }
    if (code == 9 && length == 1) { // if_tsresol
      interface.ticks_per_second = ticks_of(body[at]);
      if (interface.ticks_per_second == 0) {
        return broken("pcapng interface with a time resolution beyond 64 bits");
      }
    } else if (code == 14 && length == 8) { // if_tsoffset
      const std::uint64_t first = u32(body, at);
      const std::uint64_t second = u32(body, at + 4);
      interface.offset_seconds =
          static_cast<std::int64_t>(big_endian_ ? first << 32 | second : second << 32 | first);
    }
    at += padded(length);
  }
  interfaces_.push_back(interface);
  return skipped(used);
}

CaptureReader::Step CaptureReader::packet_block(std::uint32_t type, Bytes body,
                                                std::uint64_t used) const {
  const bool simple = type == kSimplePacket;
  const std::size_t header = simple ? 4 : 20;
  if (body.size() < header) {
    return bad(used);
  }
  const std::uint32_t index = simple ? 0 : type == kPacket ? u16(body, 0) : u32(body, 0);
  if (index >= interfaces_.size()) {
    return bad(used);
  }
  const Interface &interface = interfaces_[index];
  const std::uint32_t original = u32(body, simple ? 0 : 16);
  const auto room = static_cast<std::uint32_t>(body.size() - header);
  std::uint32_t captured = 0;
  if (simple) { // no captured length: whatever the snap length let through
    captured = std::min(original, room);
    captured = interface.snap_length != 0 ? std::min(captured, interface.snap_length) : captured;
  } else {
    captured = u32(body, 12);
  }
  if (captured > room || captured > kMaxCapturedPacket) {
    return bad(used);
  }
  Step step{Outcome::Packet, used};
  step.packet.bytes = body.subspan(header, captured);
  step.packet.original_length = std::max(original, captured);
  step.packet.link = static_cast<LinkType>(interface.link);
  if (!simple) {
    const std::uint64_t ticks = std::uint64_t{u32(body, 4)} << 32 | u32(body, 8);
    step.packet.timestamp_ns =
        to_nanoseconds(ticks, interface.ticks_per_second, interface.offset_seconds);
  }
  return step;
}

} // namespace outguard::guest
