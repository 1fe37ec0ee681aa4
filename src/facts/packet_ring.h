#pragma once
// The packet ring of one tap: what the privileged side asks the kernel for (TPACKET_V3 receive ring
// on an AF_PACKET socket) and the sensor maps. Both sides must use the same numbers, so they
// travel.

#include <cstdint>
#include <string>

namespace outguard {

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
  /// tp_retire_blk_tov. It is latency of the first packet and idle timer load of the host at once.
  /// The shortest there is: a process that connects, sends and ends lives for a few of these.
  /// Kernels before 6.18 round it up to a jiffy (4 ms at HZ=250).
  std::uint64_t retire_timeout_ns = 1'000'000;

  [[nodiscard]] std::uint64_t bytes() const { return std::uint64_t{block_size} * block_count; }

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.interface, self.block_size, self.block_count, self.frame_size,
         self.retire_timeout_ns);
  }
};

} // namespace outguard
