#pragma once
// The packet ring of one tap: what the privileged side asks the kernel for (TPACKET_V3 receive ring
// on an AF_PACKET socket) and the sensor maps. Both sides must use the same numbers, so they
// travel.

#include <cstdint>
#include <string>

namespace outguard {

/// Of a frame on the socket of openings: Ethernet, a tag, the longest IPv4 and TCP headers.
inline constexpr std::uint32_t kMaxOpeningBytes = 14 + 4 + 60 + 60;

struct PacketRing {
  std::string interface; ///< tap it is bound to
  /// A block must hold one whole frame, and a frame on a tap is up to 64 KiB and headers: larger
  /// ones (BIG TCP) are cut by the kernel, which the decoder tells. Power of two, multiple of a
  /// page.
  std::uint32_t block_size = 128 * 1024;
  /// A block is handed over full, or with whatever it holds at the time-out; so at low rates a
  /// block carries one packet, and the count is how many time-outs the sensor may be late: 32 are 4
  /// MiB.
  std::uint32_t block_count = 32;
  /// tp_frame_size: the kernel only checks it in V3. Must divide block_size, multiple of 16.
  std::uint32_t frame_size = 2048;
  /// tp_retire_blk_tov: latency of a match, idle timer load of the host, and with block_count how
  /// late the sensor may be: 128 ms. Who opened a connection does not wait for it (openings).
  /// Kernels before 6.18 round it up to a jiffy (4 ms at HZ=250).
  std::uint64_t retire_timeout_ns = 4'000'000;
  /// For the last packets, to be asked for again: as many bytes of copies of blocks that held
  /// little when they were given back. What full ones held stays in the ring until their turn
  /// comes; 0: none of both.
  std::uint32_t kept_bytes = 0;

  [[nodiscard]] std::uint64_t bytes() const { return std::uint64_t{block_size} * block_count; }

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.interface, self.block_size, self.block_count, self.frame_size, self.retire_timeout_ns,
         self.kept_bytes);
  }
};

} // namespace outguard
