#pragma once
// Packets from a tap: maps the receive ring of an AF_PACKET socket that the privileged side opened,
// configured (facts/packet_ring.h) and bound. Needs no capability, and no system call while packets
// come. On a tap, what the host sends out goes to the guest.

#include <cstdint>
#include <memory>

#include "facts/packet_ring.h"
#include "guest/packets/packet_source.h"
#include "guest/packets/ring_block.h"

namespace outguard::guest {

class LiveSource final : public PacketSource {
public:
  /// Malformed: numbers that cannot describe a ring; SourceGone: the descriptor cannot be mapped.
  [[nodiscard]] static Result<std::unique_ptr<LiveSource>> open(Fd socket, const PacketRing &ring);
  ~LiveSource() override;

  /// Asks the kernel how many packets found no room. next() does it whenever the ring runs empty.
  void count_lost();

private:
  LiveSource(Fd socket, const PacketRing &ring, std::uint8_t *memory);
  [[nodiscard]] Result<std::size_t> fill(std::span<PacketView> out) override;
  [[nodiscard]] std::uint8_t *block_memory() const;
  [[nodiscard]] bool open_block();
  void release_block();

  std::uint8_t *memory_; ///< the ring, mapped; unmapped in the destructor
  std::uint32_t block_size_;
  std::uint32_t block_count_;
  std::uint32_t current_ = 0; ///< block that is being walked or waited for
  std::uint32_t since_count_ = 0;
  bool walking_ = false;
  RingBlock block_;
};

} // namespace outguard::guest
