#pragma once
// CSV feeds: abuse.ch and others with a header that names columns (also in a `#` line), those
// without a header, and Suricata's reputation lists (address, category, score). No exceptions.

#include <string_view>

#include "intel/feeds/intake.h"

namespace outguard::intel {

/// Does the start of the text look like CSV, and not like a list with commas in it?
[[nodiscard]] bool looks_like_csv(std::string_view text);
[[nodiscard]] bool looks_like_iprep(std::string_view text);

void parse_csv(std::string_view text, Intake &intake);
/// The score, 0..127, gives the confidence; 0 means that nothing is held against the address.
void parse_iprep(std::string_view text, Intake &intake);

} // namespace outguard::intel
