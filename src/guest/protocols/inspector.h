#pragma once
// Recognizes a protocol by its bytes, never by its port alone, and hands them to the parser. Knows
// nothing of packets: a stream is a run of bytes that begins where the last call stopped consuming.
// Owned by the PacketPipeline, one thread; its scratch memory holds the text of observables.

#include <cstdint>
#include <span>
#include <string>

#include "base/ip_address.h"
#include "guest/protocols/http.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

/// What is remembered of one direction of a stream between calls.
struct StreamState {
  AppProtocol protocol = AppProtocol::None; ///< last recognized
  std::uint16_t misses = 0;                 ///< looks that recognized nothing
  HttpHeadState http;
};

struct StreamProgress {
  std::size_t consumed = 0; ///< of the bytes given; the rest is wanted again, with more behind it
  std::uint64_t skip = 0;   ///< bytes behind the consumed ones that nobody wants to see
  bool done = false;        ///< nothing more is wanted of this direction
};

class Inspector {
public:
  /// Bytes of one direction of a stream, from where the last call stopped; never empty. `receiver`
  /// is the end that the bytes go to. After bytes were lost, start with a fresh state.
  [[nodiscard]] StreamProgress stream(StreamState &state, std::span<const std::uint8_t> bytes,
                                      const Endpoint &receiver, ObservableSink &sink);

  /// One datagram. `answers_wanted`: the query of an answer was not seen, so take the names from
  /// it.
  AppProtocol datagram(std::span<const std::uint8_t> bytes, std::uint16_t source_port,
                       std::uint16_t destination_port, bool answers_wanted, ObservableSink &sink);

private:
  std::string scratch_;
};

} // namespace outguard::guest
