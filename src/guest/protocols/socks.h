#pragma once
// The client's side of SOCKS 4, 4a and 5 (RFC 1928, 1929): which host the proxy is asked for. What
// follows is another protocol's. Pure: state is the caller's.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

enum class SocksPhase : std::uint8_t {
  None,
  Greeted, ///< version 5 offered its methods: a password or the request follows
  Asked,   ///< the request was seen; stays so
};

/// `bytes` start where a client's message does. A greeting alone proves nothing: only Asked does.
[[nodiscard]] Look look_at_socks(SocksPhase &phase, std::span<const std::uint8_t> bytes,
                                 std::string &scratch, ObservableSink &sink);

} // namespace outguard::guest
