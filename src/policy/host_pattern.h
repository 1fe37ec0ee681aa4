#pragma once
// Patterns of host names: a name, or "*." before one for everything below it, at any depth. In
// ASCII (an international name in its xn-- form), case does not count, nor does a last dot.

#include <string_view>

namespace outguard::policy {

/// Something that host_matches() understands.
[[nodiscard]] bool is_host_pattern(std::string_view pattern);
[[nodiscard]] bool host_matches(std::string_view pattern, std::string_view host);

} // namespace outguard::policy
