// UDP talk that more than one role needs.
#pragma once

#include "net.h"

namespace lab {

// A connected socket that counts answers.
[[noreturn]] void udp_chat_forever(const Endpoint &destination, Duration interval,
                                   const std::string &role);

// An unconnected socket that only sends, and counts what was sent; ready after the first.
[[noreturn]] void beacon_forever(const Endpoint &destination, Duration interval,
                                 const std::string &role);

} // namespace lab
