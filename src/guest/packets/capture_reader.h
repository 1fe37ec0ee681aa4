#pragma once
// Parses capture files from memory: pcap in both byte orders and resolutions, pcapng with several
// interfaces. Fed with whatever part of the file is at hand, tells how much of it one step used.
// Knows no descriptor, so that a fuzzer can be the file. Owned by PcapFileSource.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/packets/packet_view.h"

namespace outguard::guest {

/// Longest packet and largest block that must be looked into. libpcap writes at most 256 KiB.
inline constexpr std::uint32_t kMaxCapturedPacket = 512 * 1024;
inline constexpr std::size_t kMaxInterfaces = 4096;

class CaptureReader {
public:
  enum class Outcome : std::uint8_t {
    Packet,   ///< `packet` is set
    Skipped,  ///< something without a packet
    Bad,      ///< a packet record that makes no sense; the next one can be found
    NeedMore, ///< the bytes end before the record does
    Broken,   ///< no way on; `reason` is set
  };
  struct Step {
    Outcome outcome = Outcome::NeedMore;
    std::uint64_t used = 0; ///< may reach beyond the bytes given: pass over them unread
    PacketView packet{};
    const char *reason = nullptr; ///< never from the file
  };

  /// `bytes` begins where the last step's `used` ended; the first time at the file's start.
  [[nodiscard]] Step next(std::span<const std::uint8_t> bytes);

  struct Run {
    std::size_t packets = 0;
    std::uint64_t used = 0;
  };
  /// The packets that `bytes` begins with, as many as next() would hand out one by one, in a format
  /// where that is quick; at most as many as `out` takes. None: next() knows why.
  [[nodiscard]] Run run(std::span<const std::uint8_t> bytes, std::span<PacketView> out) const;

private:
  enum class Format : std::uint8_t { Unknown, Pcap, PcapNg };
  struct Interface {
    std::uint16_t link = 0;
    std::uint32_t snap_length = 0;
    std::uint64_t ticks_per_second = 1'000'000;
    std::int64_t offset_seconds = 0;
  };

  [[nodiscard]] Step file_header(std::span<const std::uint8_t> bytes);
  [[nodiscard]] Step pcap_record(std::span<const std::uint8_t> bytes) const;
  /// Of what is before each packet of a pcap file.
  [[nodiscard]] std::size_t record_header() const { return modified_ ? 24 : 16; }
  [[nodiscard]] Step block(std::span<const std::uint8_t> bytes);
  [[nodiscard]] Step section_header(std::span<const std::uint8_t> bytes);
  [[nodiscard]] Step interface_block(std::span<const std::uint8_t> body, std::uint64_t used);
  [[nodiscard]] Step packet_block(std::uint32_t type, std::span<const std::uint8_t> body,
                                  std::uint64_t used) const;
  [[nodiscard]] std::uint16_t u16(std::span<const std::uint8_t> bytes, std::size_t at) const;
  [[nodiscard]] std::uint32_t u32(std::span<const std::uint8_t> bytes, std::size_t at) const;

  Format format_ = Format::Unknown;
  bool big_endian_ = false;
  bool modified_ = false;             ///< Kuznetzov's pcap: eight more bytes before each packet
  std::vector<Interface> interfaces_; ///< pcap: exactly one
};

} // namespace outguard::guest
