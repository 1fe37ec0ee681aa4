#pragma once
// The layers from IP up, of any packet: options, extension headers, fragments, TCP, UDP, ICMP,
// SCTP's ports. What is below it belongs to decode.cpp, which is the only one to use this. Total
// over any bytes.

#include <optional>

#include "guest/bytes/byte_cursor.h"
#include "guest/packets/decoded_packet.h"
#include "guest/packets/drop_reason.h"

namespace outguard::guest {

/// `behind` is what the wire carried behind the captured bytes: it is part of every length that a
/// header claims.
class IpDecoder {
protected:
  using Drop = std::optional<DropReason>;
  static constexpr Drop kDecoded = std::nullopt;

  IpDecoder(std::span<const std::uint8_t> bytes, std::uint32_t behind, bool checksums_filled,
            DecodedPacket &out)
      : out_(out), cursor_(bytes), behind_(behind), checksums_filled_(checksums_filled) {}

  [[nodiscard]] Drop ip_by_version();
  [[nodiscard]] Drop ipv4();
  [[nodiscard]] Drop ipv6();
  /// What the IP header of a whole packet announces.
  [[nodiscard]] Drop behind_ip(std::uint8_t protocol);

  /// Bytes from here to the end of the frame on the wire, captured or not.
  [[nodiscard]] std::uint32_t left_on_wire() const {
    return static_cast<std::uint32_t>(cursor_.remaining()) + behind_;
  }
  /// A header said that `length` bytes follow: padding goes.
  void limit(std::uint32_t length) {
    const std::size_t captured = std::min<std::size_t>(length, cursor_.remaining());
    cursor_ = ByteCursor(cursor_.rest().first(captured));
    behind_ = length - static_cast<std::uint32_t>(captured);
  }

  DecodedPacket &out_;
  ByteCursor cursor_;

private:
  [[nodiscard]] Drop extension_headers(std::uint8_t next);
  [[nodiscard]] Drop fragment(std::uint8_t protocol, std::uint32_t offset, bool more);
  [[nodiscard]] Drop transport(std::uint8_t protocol);
  void note_overlong(std::uint32_t promised, std::uint32_t carried);
  [[nodiscard]] Drop tcp();
  [[nodiscard]] Drop sctp();
  [[nodiscard]] Drop udp();
  [[nodiscard]] Drop icmp();

  std::uint32_t behind_;
  bool checksums_filled_;
  bool overlong_ = false;
};

} // namespace outguard::guest
