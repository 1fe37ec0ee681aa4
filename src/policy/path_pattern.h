#pragma once
// Patterns of paths and other names that have no structure but '/': '*' stands for any run of bytes
// without '/'; a pattern that ends in '/' holds for everything below that folder. Case counts. Work
// is bounded by the product of both lengths.

#include <string_view>

namespace outguard::policy {

[[nodiscard]] bool path_matches(std::string_view pattern, std::string_view path);

} // namespace outguard::policy
