#pragma once
// SSH up to the end of the first KEXINIT (RFC 4253, 4.2 and 7.1): what each side calls itself, and
// HASSH, the MD5 of the algorithms that it offers for what it sends. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"
#include "guest/protocols/stream_ends.h"

namespace outguard::guest {

/// `bytes` start where the stream does: the line of the version.
[[nodiscard]] Look look_at_ssh_banner(std::span<const std::uint8_t> bytes, std::string &scratch,
                                      ObservableSink &sink);

/// `bytes` start behind that line.
[[nodiscard]] Look look_at_ssh_packet(std::span<const std::uint8_t> bytes, StreamRole sender,
                                      std::string &scratch, ObservableSink &sink);

} // namespace outguard::guest
