#pragma once
// Who sends the bytes of one direction of a stream, and to whom.

#include <cstdint>

#include "base/ip_address.h"

namespace outguard::guest {

enum class StreamRole : std::uint8_t { Client, Server };

/// Good during a call only.
struct StreamEnds {
  const Endpoint &sender;
  const Endpoint &receiver;
  StreamRole role = StreamRole::Client; ///< of the sender: the client opened the connection
};

} // namespace outguard::guest
