#pragma once
// Packets as a pcapng file (draft-ietf-opsawg-pcapng) in memory that somebody else owns: Ethernet,
// nanoseconds, each tap an interface with its name, each packet with its direction and the length
// it had. Times that go back are as they were. Never writes beyond the memory.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/packets/packet_view.h"

namespace outguard::guest {

class PcapngWriter {
public:
  explicit PcapngWriter(std::span<std::uint8_t> out) : out_(out) {}

  /// In this order: the section once, then every interface, then packets. False: no room, and
  /// nothing was written.
  [[nodiscard]] bool section();
  [[nodiscard]] bool interface(std::string_view name);
  /// `interface`: counted from 0. A tag that the kernel took out of the frame is put back.
  [[nodiscard]] bool packet(std::uint32_t interface, const PacketView &packet);

  /// What packet() takes.
  [[nodiscard]] static std::size_t size_of(const PacketView &packet);
  [[nodiscard]] std::size_t size() const { return size_; }

private:
  void put(const void *bytes, std::size_t count);
  template <class Number> void put(Number number) { put(&number, sizeof number); }
  void pad();
  void option(std::uint16_t code, const void *bytes, std::uint16_t count);

  std::span<std::uint8_t> out_;
  std::size_t size_ = 0;
};

} // namespace outguard::guest
