#pragma once
// A MISP warninglist's JSON as plain texts; the JSON library stays behind the one .cpp. Pure
// function, no exceptions.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace outguard::intel {

inline constexpr std::size_t kMaxWarningListBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxMatchingAttributes = 64;

/// Texts live as long as the call that hands them out. Empty: not there.
struct WarningListText {
  std::string_view name, type, category;
  std::vector<std::string_view> attributes;
  std::vector<std::string_view> entries; ///< an entry that is no text is an empty one
};

/// What is wrong; empty: `take` was called.
[[nodiscard]] std::string
read_warning_list(std::string_view json, const std::function<void(const WarningListText &)> &take);

} // namespace outguard::intel
