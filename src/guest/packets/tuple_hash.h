#pragma once
// The hash of a packet's ends, the same in both directions, for a table that neither the guest nor
// the network may predict. Owned by the FlowTable; pure once made.
//
// First a multilinear hash: each 32-bit word of the tuple times a random 64-bit key of its own, and
// the upper half of the sum. Two tuples have it in common for at most one choice of keys in 2^31
// (Dietzfelbinger 1996). Then simple tabulation: with it linear probing takes constant time for any
// set of keys (Patrascu and Thorup 2012), which the first hash alone does not promise. Both hold
// for tuples chosen without knowledge of the seed, and nobody has that: no hash leaves the sensor,
// and what of its timing can be seen outside, as when a reset comes, is far coarser than a probe.
// SipHash is for those who see hashes, and costs five times as much.

#include <array>
#include <cstdint>
#include <cstring>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/keyed_hash.h"

namespace outguard::guest {

class TupleHash {
public:
  explicit TupleHash(const HashSeed &seed);

  [[nodiscard]] std::uint32_t operator()(const DecodedPacket &packet) const {
    return packet.source.address.family == IpFamily::V4 ? v4(packet) : v6(packet);
  }

private:
  /// Of words: four each of the lower and the higher address, and the rest of the tuple.
  enum Key : std::uint8_t { Lower = 0, Higher = 4, Ports = 8, Network, Protocol };

  static std::uint32_t word_at(const IpAddress &address, std::size_t offset) {
    std::uint32_t word = 0;
    std::memcpy(&word, address.bytes.data() + offset, sizeof word);
    return word;
  }

  [[nodiscard]] std::uint32_t v4(const DecodedPacket &packet) const {
    const auto end = [](const Endpoint &of) {
      return std::uint64_t{word_at(of.address, 0)} << 16 | of.port;
    };
    const std::uint64_t source = end(packet.source);
    const std::uint64_t destination = end(packet.destination);
    const std::uint64_t lower = source < destination ? source : destination;
    const std::uint64_t higher = source < destination ? destination : source;
    return mix(packet, (lower >> 16) * keys_[Lower] + (higher >> 16) * keys_[Higher],
               static_cast<std::uint32_t>(lower << 16 | (higher & 0xffff)));
  }

  [[nodiscard]] std::uint32_t v6(const DecodedPacket &packet) const;

  [[nodiscard]] std::uint32_t mix(const DecodedPacket &packet, std::uint64_t addresses,
                                  std::uint32_t ports) const {
    const auto protocol = static_cast<std::uint32_t>(packet.source.address.family) << 8 |
                          std::uint32_t{packet.protocol};
    const std::uint64_t sum = addresses + ports * keys_[Ports] + packet.network * keys_[Network] +
                              protocol * keys_[Protocol];
    return tables_[0][sum >> 32 & 0xff] ^ tables_[1][sum >> 40 & 0xff] ^
           tables_[2][sum >> 48 & 0xff] ^ tables_[3][sum >> 56];
  }

  std::array<std::uint64_t, Protocol + 1> keys_;
  std::array<std::array<std::uint32_t, 256>, 4> tables_;
};

} // namespace outguard::guest
