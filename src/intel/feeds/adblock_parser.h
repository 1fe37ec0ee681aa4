#pragma once
// AdGuard and Adblock Plus filter lists, as far as they name hosts: `||name^`. Hosts lines and
// plain names among them are taken as in lists. Exceptions (`@@`) and rules on parts of pages are
// counted as ignored. No exceptions of the other kind.

#include <string_view>

#include "intel/feeds/intake.h"

namespace outguard::intel {

[[nodiscard]] bool looks_like_adblock(std::string_view text);
void parse_adblock(std::string_view text, Intake &intake);

} // namespace outguard::intel
