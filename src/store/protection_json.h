#pragma once
// What people protect, as JSON: in the API, the journal, `allow list -o json`. As strict to
// read as action_json.h. For sources of this folder and of api only.

#include "facts/protection.h"
#include "store/json_value.h"

namespace outguard::store {

/// {"id":"p-...","what":"10.0.0.0/8","vm":null,"actor":"...","why":"...","added":"...",
/// "expires":null,"removed":false}
[[nodiscard]] Json protection_json(const Protection &entry);
[[nodiscard]] std::optional<Protection> read_protection(const Json &json);

} // namespace outguard::store
