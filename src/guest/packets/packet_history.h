#pragma once
// Blocks of a packet ring that held little, kept as copies until others need their room: so the
// last packets of a quiet tap reach far back. Copies whole blocks, never packets. Owned by a
// LiveSource.

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace outguard::guest {

class PacketHistory {
public:
  explicit PacketHistory(std::uint32_t most_bytes)
      : memory_(new std::uint8_t[most_bytes]), most_bytes_(most_bytes) {}

  /// `block` up to its last packet's end, and a number of the owner's that goes with it. The oldest
  /// ones make room.
  void keep(std::span<const std::uint8_t> block, std::uint64_t number);

  struct Kept {
    std::span<const std::uint8_t> block;
    std::uint64_t number = 0;
  };
  /// Oldest first; good until the next keep().
  [[nodiscard]] std::vector<Kept> kept() const;

private:
  struct Place {
    std::uint32_t offset = 0, bytes = 0;
    std::uint64_t number = 0;
  };

  std::unique_ptr<std::uint8_t[]> memory_; ///< not touched before it is needed
  std::uint32_t most_bytes_;
  std::uint32_t next_ = 0;   ///< offset
  std::deque<Place> places_; ///< oldest first
};

} // namespace outguard::guest
