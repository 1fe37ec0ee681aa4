#pragma once
// Response policy zones: a DNS zone file whose owner names are what a resolver refuses. Triggers on
// names asked for and on answered addresses are taken; others and pass-through rules are counted as
// ignored. No exceptions.

#include <string_view>

#include "intel/feeds/intake.h"

namespace outguard::intel {

[[nodiscard]] bool looks_like_rpz(std::string_view text);
void parse_rpz(std::string_view text, Intake &intake);

} // namespace outguard::intel
