#include "guest/packets/tuple_hash.h"

#include <utility>

namespace outguard::guest {

TupleHash::TupleHash(const HashSeed &seed) {
  std::uint64_t count = 0;
  const auto next = [&] {
    KeyedHash hash(seed);
    hash.add(count++);
    return hash.finish();
  };
  for (std::uint64_t &key : keys_) {
    key = next();
  }
  for (auto &table : tables_) {
    for (std::uint32_t &entry : table) {
      entry = static_cast<std::uint32_t>(next());
    }
  }
}

std::uint32_t TupleHash::v6(const DecodedPacket &packet) const {
  const Endpoint *lower = &packet.source;
  const Endpoint *higher = &packet.destination;
  const int order = std::memcmp(&lower->address, &higher->address, sizeof lower->address);
  if (order > 0 || (order == 0 && lower->port > higher->port)) {
    std::swap(lower, higher);
  }
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    sum += word_at(lower->address, 4 * i) * keys_[Lower + i];
    sum += word_at(higher->address, 4 * i) * keys_[Higher + i];
  }
  return mix(packet, sum, std::uint32_t{lower->port} << 16 | higher->port);
}

} // namespace outguard::guest
