#pragma once
// Names within DNS messages (RFC 1035, 4.1.4). Compression pointers only lead backwards, and are
// counted, so no name can keep the parser busy. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {

inline constexpr std::size_t kDnsHeader = 12; ///< bytes before the first name

enum class DnsNameEnd : std::uint8_t { Complete, CutOff, Malformed };

/// Reads the name at `cursor`, whose position is one within `message`, into `out` as text of the
/// master file format (lower-case, no final dot, a dot within a label is "\.", odd bytes are \DDD),
/// and moves the cursor behind it. The root is empty.
[[nodiscard]] DnsNameEnd read_dns_name(std::span<const std::uint8_t> message, ByteCursor &cursor,
                                       std::string &out);

/// Moves the cursor behind the name; false when it does not end.
[[nodiscard]] bool skip_dns_name(ByteCursor &cursor);

} // namespace outguard::guest
