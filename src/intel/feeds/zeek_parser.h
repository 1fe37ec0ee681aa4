#pragma once
// Zeek's intelligence files: tab-separated, `#fields` names the columns, `-` is no value. What they
// name matches only itself, as in Zeek. No exceptions.

#include <string_view>

#include "intel/feeds/intake.h"

namespace outguard::intel {

[[nodiscard]] bool looks_like_zeek_intel(std::string_view text);
void parse_zeek_intel(std::string_view text, Intake &intake);

} // namespace outguard::intel
