#pragma once
// The openings of connections from a tap, at once: a plain AF_PACKET socket that the privileged
// side opened with a filter (SYN without ACK, from the guest) and bound. The ring brings the same
// packets some milliseconds later and is what counts; this is for asking whose they are before the
// asker is gone. Read with read(), which needs no right to receive messages; so the time stamp is
// when a batch had been read, the same for all of it.

#include <array>
#include <cstdint>

#include "facts/packet_ring.h"
#include "guest/packets/packet_source.h"

namespace outguard::guest {

class OpeningSource final : public PacketSource {
public:
  explicit OpeningSource(Fd socket) : PacketSource(std::move(socket)) {}

private:
  [[nodiscard]] Result<std::size_t> fill(std::span<PacketView> out) override;
  void count_lost();

  std::array<std::array<std::uint8_t, kMaxOpeningBytes>, kBatch> frames_{};
};

} // namespace outguard::guest
