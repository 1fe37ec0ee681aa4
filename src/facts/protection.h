#pragma once
// What somebody put under protection while the supervisor runs: nothing is done to it, as if the
// configuration named it. Plain values.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "facts/network_rule.h"

namespace outguard {

/// More belong into the configuration; half of what one isolation can let through.
inline constexpr std::size_t kMostProtections = 128;

struct Protection {
  std::string id;                  ///< "p-" and 12 hexadecimal digits
  std::string vm;                  ///< UUID, else what the VM is known by; empty: every VM
  std::optional<IpNetwork> remote; ///< either this,
  std::string process;             ///< or this: a file's whole path in the guest, else a name
  std::string actor, why;
  std::int64_t added_ns = 0;   ///< wall clock
  std::int64_t expires_ns = 0; ///< 0: does not
  bool removed = false;

  friend bool operator==(const Protection &, const Protection &) = default;
};

/// A remote, a whole path or a process's name. InvalidInput: none of these, or all remotes.
[[nodiscard]] Result<Protection> parse_protection(std::string_view what);
/// The reverse.
[[nodiscard]] std::string what_of(const Protection &entry);

} // namespace outguard
