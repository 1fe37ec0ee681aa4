#pragma once
// Walks the packets of one TPACKET_V3 block (linux/if_packet.h). Trusts no number in it, although
// the kernel wrote them: an offset or length that leaves the block ends the walk. Does not own the
// memory.

#include <cstdint>
#include <span>

#include "guest/packets/packet_view.h"

namespace outguard::guest {

class RingBlock {
public:
  RingBlock() = default;
  /// `bytes` is the whole block, handed over by the kernel.
  explicit RingBlock(std::span<const std::uint8_t> bytes);

  /// False: no more. Packets that a bad record made unreachable are in lost().
  [[nodiscard]] bool next(PacketView &out);
  [[nodiscard]] std::uint32_t lost() const { return lost_; }
  /// Packets handed out, and where the last byte of theirs ends.
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t end() const { return end_; }

private:
  [[nodiscard]] bool give_up();

  std::span<const std::uint8_t> bytes_;
  std::uint64_t offset_ = 0; ///< of the next packet's header
  std::uint32_t left_ = 0;   ///< packets that the block says are still to come
  std::uint32_t lost_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t end_ = 0;
};

} // namespace outguard::guest
