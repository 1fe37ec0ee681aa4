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
  const auto half = [](const Endpoint *end, std::size_t offset) {
    std::uint64_t word = 0;
    std::memcpy(&word, end->address.bytes.data() + offset, sizeof word);
    return word;
  };
  const auto sum_of = [&](std::uint64_t first, std::uint64_t second, std::size_t key) {
    return static_cast<std::uint32_t>(first) * keys_[key] + (first >> 32) * keys_[key + 1] +
           static_cast<std::uint32_t>(second) * keys_[key + 2] + (second >> 32) * keys_[key + 3];
  };
  const Endpoint *lower = &packet.source;
  const Endpoint *higher = &packet.destination;
  const auto is_above = [&] { // any order will do
    if (half(lower, 0) != half(higher, 0)) {
      return half(lower, 0) > half(higher, 0);
    }
    return half(lower, 8) != half(higher, 8) ? half(lower, 8) > half(higher, 8)
                                             : lower->port > higher->port;
  };
  if (is_above()) {
    std::swap(lower, higher);
  }
  return mix(packet,
             sum_of(half(lower, 0), half(lower, 8), Lower) +
                 sum_of(half(higher, 0), half(higher, 8), Higher),
             std::uint32_t{lower->port} << 16 | higher->port);
}

} // namespace outguard::guest
