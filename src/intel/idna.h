#pragma once
// Internationalised domain names: what people and feeds write, and what is on the wire. IDNA2008,
// non-transitional, with the mapping of UTS #46. Pure functions; they open no file, and no
// exception leaves them. The library stays behind the one .cpp.

#include <optional>
#include <string>
#include <string_view>

namespace outguard::intel {

/// Longer names are refused unread: four bytes for each that the wire has room for.
inline constexpr std::size_t kMaxUnicodeNameBytes = std::size_t{4} * 255;

/// Is it anything but ASCII?
[[nodiscard]] bool is_international(std::string_view name);

/// UTF-8 -> A-labels, lower case; nullopt: not UTF-8, or no name of IDNA2008.
[[nodiscard]] std::optional<std::string> to_a_labels(std::string_view name);

/// A-labels -> UTF-8, to show beside them; nullopt when there is none in it, or a broken one.
[[nodiscard]] std::optional<std::string> to_u_labels(std::string_view name);

} // namespace outguard::intel
