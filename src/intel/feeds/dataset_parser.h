#pragma once
// Suricata's dataset files: a base64 string, hexadecimal digest or address a line, with a
// reputation behind a comma in datarep files. What they name matches only itself, as there. No
// exceptions.

#include <optional>
#include <string>
#include <string_view>

#include "intel/feeds/intake.h"

namespace outguard::intel {

/// Base64 throughout, and what it hides is an indicator.
[[nodiscard]] bool looks_like_dataset(std::string_view text);
void parse_dataset(std::string_view text, Intake &intake);

/// RFC 4648, 4; padded. nullopt: not that, or nothing in it.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

} // namespace outguard::intel
