#pragma once
// Packets from a tap: maps the receive ring of an AF_PACKET socket that the privileged side opened,
// configured (facts/packet_ring.h) and bound. Needs no capability, and no system call while packets
// come. On a tap, what the host sends out goes to the guest. Where the ring's numbers say so, the
// last packets can be asked for again: the kernel fills the ring's blocks in turn, so one that it
// has back holds what it held until its turn comes; of those that held little, a copy is kept.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "facts/packet_ring.h"
#include "guest/packets/packet_history.h"
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

  struct Kept {
    std::vector<std::vector<std::uint8_t>> blocks; ///< for RingBlock, in no order
    /// Packets since the oldest of these that are not among them: they came too fast.
    std::uint64_t passed_over = 0;
  };
  /// The last packets, copied. Nothing that next() has not handed out, but the rest of its block.
  [[nodiscard]] Kept kept() const;

private:
  LiveSource(Fd socket, const PacketRing &ring, std::uint8_t *memory);
  [[nodiscard]] Result<std::size_t> fill(std::span<PacketView> out) override;
  [[nodiscard]] std::uint8_t *block_memory(std::uint32_t block) const;
  [[nodiscard]] bool open_block();
  void release_block();
  void remember_block();
  [[nodiscard]] std::vector<std::uint8_t> copy_of(std::uint32_t block, std::uint32_t bytes) const;

  std::uint8_t *memory_; ///< the ring, mapped; unmapped in the destructor
  std::uint32_t block_size_;
  std::uint32_t block_count_;
  std::uint32_t current_ = 0; ///< block that is being walked or waited for
  /// A full block as it was when it was given back.
  struct Full {
    std::uint32_t bytes = 0, packets = 0;
    std::uint64_t sequence = 0; ///< the kernel's, a number for each filling
    std::uint64_t before = 0;   ///< packets in full blocks until then
  };
  std::vector<Full> full_;               ///< of each block; no bytes: it was not full
  std::uint64_t in_full_blocks_ = 0;     ///< packets
  std::optional<PacketHistory> history_; ///< none: nothing is kept
  std::uint32_t since_count_ = 0;
  bool walking_ = false;
  RingBlock block_;
};

} // namespace outguard::guest
