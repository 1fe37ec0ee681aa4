#include "guest/packets/packet_history.h"

#include <cstring>

namespace outguard::guest {

void PacketHistory::keep(std::span<const std::uint8_t> block, std::uint64_t number) {
  if (block.size() > most_bytes_) {
    return;
  }
  const auto bytes = static_cast<std::uint32_t>(block.size());
  const bool fits = most_bytes_ - next_ >= bytes;
  const auto make_room = [&](std::uint32_t from, std::uint32_t to) {
    while (!places_.empty() && places_.front().offset >= from && places_.front().offset < to) {
      places_.pop_front();
    }
  };
  make_room(next_, fits ? next_ + bytes : most_bytes_);
  if (!fits) {
    next_ = 0;
    make_room(0, bytes);
  }
  std::memcpy(memory_.get() + next_, block.data(), bytes);
  places_.push_back({next_, bytes, number});
  next_ += bytes;
}

std::vector<PacketHistory::Kept> PacketHistory::kept() const {
  std::vector<Kept> all;
  for (const Place &place : places_) {
    all.push_back({{memory_.get() + place.offset, place.bytes}, place.number});
  }
  return all;
}

} // namespace outguard::guest
