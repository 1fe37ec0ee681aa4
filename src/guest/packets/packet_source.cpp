#include "guest/packets/packet_source.h"

namespace outguard::guest {

Result<std::span<const PacketView>> PacketSource::next() {
  return fill(batch_).map([this](std::size_t count) {
    counters_.handed_out += count;
    return std::span<const PacketView>(batch_).first(count);
  });
}

} // namespace outguard::guest
