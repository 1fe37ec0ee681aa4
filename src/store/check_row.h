#pragma once
// One check of `outguard doctor`: what was looked at, how it is, what to do. Plain data.

#include <string>

namespace outguard::store {

struct CheckRow {
  enum class Level {
    Ok,
    Note,    ///< worth knowing; nothing is lost
    Problem, ///< something is not guarded, or not as well as it could be
  };
  std::string what;
  Level level = Level::Ok;
  std::string reason; ///< in words that are safe to show
  std::string remedy; ///< empty: none, or none needed
};

/// A row of `outguard doctor -o json`.
[[nodiscard]] std::string check_json(const CheckRow &check);

} // namespace outguard::store
