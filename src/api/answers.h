#pragma once
// What a supervisor answers about actions, as JSON lines, for both ends (of its status:
// status_json.h). Pure functions; nothing throws.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "facts/action.h"
#include "facts/protection.h"

namespace outguard::api {

/// {"ok":false,"code":"not_found","error":"..."}
[[nodiscard]] std::string refusal_line(const Error &why);
/// The reason in a refusal; nullopt: it is none.
[[nodiscard]] std::optional<Error> refusal_in(std::string_view line);

/// {"ok":true,"action":{...}}
[[nodiscard]] std::string answer_line(const ActionRecord &record);
[[nodiscard]] Result<ActionRecord> parse_action(std::string_view line);

struct ActionList {
  std::vector<ActionRecord> actions; ///< newest first
  std::int64_t left_out = 0;         ///< older ones
};
/// {"ok":true,"actions":[...],"left_out":0}
[[nodiscard]] std::string answer_line(const ActionList &list);
[[nodiscard]] Result<ActionList> parse_actions(std::string_view line);

/// Would a guard allow it?
struct AllowAnswer {
  bool allowed = false;
  std::string reason; ///< when not allowed
  std::string what;   ///< what was judged: the process in words, or the remote
};
/// {"ok":true,"allowed":false,"reason":"...","what":"..."}
[[nodiscard]] std::string answer_line(const AllowAnswer &answer);
[[nodiscard]] Result<AllowAnswer> parse_allowed(std::string_view line);

/// {"ok":true,"entry":{...}}
[[nodiscard]] std::string answer_line(const Protection &entry);
[[nodiscard]] Result<Protection> parse_protection_answer(std::string_view line);

/// {"ok":true,"entries":[...]}
[[nodiscard]] std::string answer_line(const std::vector<Protection> &entries);
[[nodiscard]] Result<std::vector<Protection>> parse_protections(std::string_view line);

/// {"ok":true}
[[nodiscard]] std::string done_line();
[[nodiscard]] Result<void> parse_done(std::string_view line);

/// Rows of `outguard ... -o json`.
[[nodiscard]] std::string action_row(const ActionRecord &record);
[[nodiscard]] std::string allowed_row(const AllowAnswer &answer);
[[nodiscard]] std::string protection_row(const Protection &entry);

} // namespace outguard::api
