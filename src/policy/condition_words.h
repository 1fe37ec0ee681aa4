#pragma once
// Conditions in words for people. What the guest chose is escaped.

#include <string>

#include "policy/condition.h"

namespace outguard::policy {

/// As the key in a policy's file: "direction", "exe", ...
[[nodiscard]] const char *to_string(Condition condition);
/// What the subject has where the condition asks: "/usr/bin/curl"; "not known".
[[nodiscard]] std::string observed(Condition condition, const Subject &subject);
/// What the rule asks for: "80, 8000-8100".
[[nodiscard]] std::string wanted(const Rule &rule, Condition condition);
/// "out" is begun by the guest.
[[nodiscard]] const char *to_string(FlowDirection initiator);
/// 64 hexadecimal digits.
[[nodiscard]] std::string to_string(const Sha256 &hash);

} // namespace outguard::policy
