#pragma once
// One normal form for every host name that a protocol carries, so that they compare. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// Appends the normal form of `host` (no port, brackets allowed around IPv6) to `out`: lower-case,
/// one trailing dot gone, bytes outside printable ASCII as \DDD. Says what it turned out to be;
/// nullopt, and nothing appended, when no name is left.
[[nodiscard]] std::optional<HostForm> append_host(std::string_view host, std::string &out);

/// "host:port" and "[v6]:port" in their parts; a port that is no number stays with the host.
struct Authority {
  std::string_view host; ///< brackets kept
  std::optional<std::uint16_t> port;
};
[[nodiscard]] Authority split_authority(std::string_view text);

/// Appends `byte` as the master file format writes it (RFC 1035, 5.1): itself, or \DDD.
void append_escaped(std::uint8_t byte, std::string &out);

/// Appends at most `most` bytes of `text`, blanks as they are, bytes outside printable ASCII as
/// \DDD.
void append_printable(std::string_view text, std::size_t most, std::string &out);

/// The form of an already normal name.
[[nodiscard]] HostForm form_of(std::string_view name);

/// Appends `text` in lower case if it is letters, digits, hyphens, underscores and dots, as nearly
/// every name is, and counts the dots; else nothing.
[[nodiscard]] std::optional<std::size_t> append_plain(std::string_view text, std::string &out);

/// ASCII only; the C library's functions ask the locale.
[[nodiscard]] constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace outguard::guest
