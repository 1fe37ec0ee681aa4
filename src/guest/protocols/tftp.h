#pragma once
// TFTP read and write requests (RFC 1350): the file's name. On any port: the mode's word is proof
// enough. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// False: no whole request, and nothing observed.
[[nodiscard]] bool look_at_tftp(std::span<const std::uint8_t> datagram, std::string &scratch,
                                ObservableSink &sink);

} // namespace outguard::guest
