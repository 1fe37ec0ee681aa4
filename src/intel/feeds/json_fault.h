#pragma once
// Where a text stops being JSON, to tell the user: the fast parser does not say. Pure function, no
// recursion, no exceptions.

#include <cstddef>
#include <optional>
#include <string_view>

namespace outguard::intel {

/// Byte offset of the first token that cannot stand there, or the text's size when it ends early;
/// nullopt: the structure is sound (the fault is within a token).
[[nodiscard]] std::optional<std::size_t> find_json_fault(std::string_view text);

} // namespace outguard::intel
