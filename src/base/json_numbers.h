#pragma once
// Numbers that a JSON document may hold and no machine does: for parsers that refuse the document
// for one of them. Pure function, no exceptions.

#include <string>
#include <string_view>

namespace outguard {

/// The text with each number that neither 64 bits nor a double hold as a string of question marks,
/// as long as it was: its member is then one that cannot be read. Empty: there is no such number.
[[nodiscard]] std::string mask_large_numbers(std::string_view json);

} // namespace outguard
