#pragma once
// Names under which anybody can register: the list that libpsl carries in itself, so that nothing
// is opened in a sandbox. Names in canonical form. Pure functions.

#include <optional>
#include <string>

namespace outguard::intel {

/// Also of the list's private part ("github.io"), and of names with a wildcard directly below
/// ("kobe.jp"). A single label that the list does not know is one too.
[[nodiscard]] bool is_public_suffix(const std::string &name);

/// The suffix and one label more; nullopt when the name is a suffix itself.
[[nodiscard]] std::optional<std::string> registrable_domain(const std::string &name);

} // namespace outguard::intel
