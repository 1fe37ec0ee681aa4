#pragma once
// SHA-256 as 64 hexadecimal digits: of the journal's lines and of what an approval is for. Pure
// functions, any thread.

#include <string>
#include <string_view>

#include "facts/action.h"

namespace outguard::store {

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

/// ActionRecord::plan_hash.
[[nodiscard]] std::string plan_hash(const ActionWanted &wanted);

} // namespace outguard::store
