#pragma once
// What every JSON line of ours is made with: text that is valid UTF-8 whatever the guest or a feed
// wrote, null for what is not known, and the line itself. For sources of this folder and of api
// only.

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "facts/guest_text.h"

namespace outguard::store {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json text(const GuestText &value);
/// Our own words, and short names that a sensor chose.
[[nodiscard]] Json text(const std::string &value);

[[nodiscard]] Json text_or_null(const GuestText &value);
[[nodiscard]] Json text_or_null(const std::string &value);

template <class T> [[nodiscard]] Json or_null(const std::optional<T> &value) {
  return value ? Json(*value) : Json();
}
[[nodiscard]] Json or_null(const std::optional<GuestText> &value);

/// One object, one line. Every string in it is valid UTF-8 by now, so this does not throw; the
/// handler is the second line.
[[nodiscard]] std::string line(const Json &object);

} // namespace outguard::store
