#pragma once
// An alert as one line for people. Everything that guest or network chose is escaped, so the line
// is safe on any terminal. Pure function, any thread.

#include <cstdint>
#include <span>
#include <string>

#include "facts/finding.h"
#include "facts/response.h"

namespace outguard::store {

enum class Colour : std::uint8_t { Off, On };

/// "18:13:20.017 web1 HIGH domain evil.com (tls-sni cdn.evil.com) | pid 812 beacon /tmp/beacon |
/// tcp 10.0.0.2:4312 -> 45.9.20.7:443 | blocked 2.1 ms, killed 12.3 ms". UTC.
[[nodiscard]] std::string alert_line(const Finding &finding,
                                     std::span<const ResponseDone> responses, Colour colour);

} // namespace outguard::store
