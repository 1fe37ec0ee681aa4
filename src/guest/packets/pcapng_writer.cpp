#include "guest/packets/pcapng_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace outguard::guest {
namespace {

constexpr std::uint32_t kSection = 0x0a0d0d0a, kInterface = 1, kPacket = 6;
constexpr std::uint16_t kEnd = 0, kApplication = 4, kName = 2, kResolution = 9, kFlags = 2;
constexpr std::uint32_t kInbound = 1, kOutbound = 2; ///< as the tap sees it
constexpr std::size_t kAddresses = 12, kTag = 4;     ///< of an Ethernet frame
constexpr std::size_t kMostName = 64;
constexpr std::size_t kHeadAndTail = 12;

constexpr std::size_t padded(std::size_t bytes) {
  return (bytes + 3) / 4 * 4;
}

/// Those of a frame, its tag put back.
std::size_t captured(const PacketView &packet) {
  const bool tagged = packet.outer_tag && packet.bytes.size() >= kAddresses;
  return packet.bytes.size() + (tagged ? kTag : 0);
}

} // namespace

void PcapngWriter::put(const void *bytes, std::size_t count) {
  if (count != 0) {
    std::memcpy(out_.data() + size_, bytes, count);
    size_ += count;
  }
}

void PcapngWriter::pad() {
  while (size_ % 4 != 0) {
    out_[size_++] = 0;
  }
}

void PcapngWriter::option(std::uint16_t code, const void *bytes, std::uint16_t count) {
  put(code);
  put(count);
  put(bytes, count);
  pad();
}

bool PcapngWriter::section() {
  constexpr std::string_view kWriter = "outguard";
  constexpr std::uint32_t kTotal = kHeadAndTail + 16 + 4 + kWriter.size() + 4;
  if (out_.size() < kTotal) {
    return false;
  }
  put(kSection);
  put(kTotal);
  put(std::uint32_t{0x1a2b3c4d}); // byte order
  put(std::uint16_t{1});
  put(std::uint16_t{0});
  put(std::int64_t{-1}); // length of the section: not said
  option(kApplication, kWriter.data(), kWriter.size());
  option(kEnd, nullptr, 0);
  put(kTotal);
  return true;
}

bool PcapngWriter::interface(std::string_view name) {
  name = name.substr(0, kMostName);
  const std::size_t total = kHeadAndTail + 8 + 4 + padded(name.size()) + 8 + 4;
  if (out_.size() - size_ < total) {
    return false;
  }
  const auto length = static_cast<std::uint32_t>(total);
  const std::uint8_t nanoseconds = 9;
  put(kInterface);
  put(length);
  put(static_cast<std::uint16_t>(LinkType::Ethernet));
  put(std::uint16_t{0});
  put(std::uint32_t{0}); // no limit
  option(kName, name.data(), static_cast<std::uint16_t>(name.size()));
  option(kResolution, &nanoseconds, sizeof nanoseconds);
  option(kEnd, nullptr, 0);
  put(length);
  return true;
}

std::size_t PcapngWriter::size_of(const PacketView &packet) {
  return kHeadAndTail + 20 + padded(captured(packet)) + (packet.direction ? 8 : 0) + 4;
}

bool PcapngWriter::packet(std::uint32_t interface, const PacketView &packet) {
  const std::size_t total = size_of(packet);
  if (out_.size() - size_ < total) {
    return false;
  }
  const std::size_t bytes = captured(packet);
  const auto length = static_cast<std::uint32_t>(total);
  const auto time = static_cast<std::uint64_t>(packet.timestamp_ns);
  const auto tag_bytes = static_cast<std::uint32_t>(bytes - packet.bytes.size());
  put(kPacket);
  put(length);
  put(interface);
  put(static_cast<std::uint32_t>(time >> 32));
  put(static_cast<std::uint32_t>(time));
  put(static_cast<std::uint32_t>(bytes));
  put(packet.original_length + tag_bytes);
  if (tag_bytes != 0) {
    const auto &tag = *packet.outer_tag;
    const std::array<std::uint8_t, kTag> inserted{
        static_cast<std::uint8_t>(tag.protocol >> 8), static_cast<std::uint8_t>(tag.protocol),
        static_cast<std::uint8_t>(tag.control >> 8), static_cast<std::uint8_t>(tag.control)};
    put(packet.bytes.data(), kAddresses);
    put(inserted.data(), inserted.size());
    put(packet.bytes.data() + kAddresses, packet.bytes.size() - kAddresses);
  } else {
    put(packet.bytes.data(), packet.bytes.size());
  }
  pad();
  if (packet.direction) {
    const std::uint32_t flags = *packet.direction == FlowDirection::ToGuest ? kOutbound : kInbound;
    option(kFlags, &flags, sizeof flags);
  }
  option(kEnd, nullptr, 0);
  put(length);
  return true;
}

} // namespace outguard::guest
