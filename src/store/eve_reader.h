#pragma once
// Turns an EVE line into a line for people. The file may have been edited or cut: what is no alert
// gives nothing. Pure function, any thread.

#include <optional>
#include <string>
#include <string_view>

namespace outguard::store {

[[nodiscard]] std::optional<std::string> alert_line_from_eve(std::string_view json);

} // namespace outguard::store
