#pragma once
// Text that may come from anywhere, made safe to show: for the log, the terminal, and GuestText.

#include <string>
#include <string_view>

namespace outguard {

/// Valid UTF-8 stays; control characters (C0, DEL, C1), backslash, invalid UTF-8, bidirectional
/// overrides and line separators become \xNN of each byte.
[[nodiscard]] std::string to_printable(std::string_view bytes);
/// Nothing in it could harm a terminal or a log (a backslash cannot).
[[nodiscard]] bool is_printable(std::string_view text);
/// Every byte is part of valid UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);

} // namespace outguard
