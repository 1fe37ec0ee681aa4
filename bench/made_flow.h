#pragma once
// One flow of made traffic: what its two ends send, in the order of the wire and with the time
// between. A TCP connection has handshake, acknowledgments, retransmissions, segments out of order
// and an end. Built whole, played packet by packet.

#include <cstdint>
#include <random>
#include <vector>

#include "base/ip_address.h"
#include "made_messages.h"

namespace outguard::bench {

using Random = std::mt19937_64;

enum class Sender : std::uint8_t { Client, Server };

struct Packet {
  Sender sender = Sender::Client;
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::int64_t wait_ns = 0; ///< since the one before
  Bytes begin;              ///< of the payload
  std::uint32_t noise = 0;  ///< bytes behind it that mean nothing
};

struct MadeFlow {
  Endpoint client, server;
  std::uint8_t protocol = 6;
  std::vector<Packet> packets;
};

/// Writes the packets of a TCP connection.
class Connection {
public:
  Connection(MadeFlow &flow, Random &random);

  void open();
  /// One message, in segments, acknowledged as Linux does; `noise` bytes follow `bytes`.
  void send(Sender sender, Bytes bytes, std::uint32_t noise = 0);
  void close();
  /// Some segments come twice or behind their followers, except of the hellos; call at the end.
  void disturb();

private:
  Packet &add(Sender sender, std::uint8_t flags, double wait_us);
  [[nodiscard]] double travel_us() const { return round_trip_us_ / 2; }

  MadeFlow &flow_;
  Random &random_;
  double round_trip_us_;
  std::uint32_t next_[2];
};

} // namespace outguard::bench
