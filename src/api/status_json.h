#pragma once
// A supervisor's status as a JSON line, for both ends. Pure functions; a line has no line feed.
// Nothing throws: what is malformed is an InvalidInput.

#include <string>
#include <string_view>

#include "api/supervisor_status.h"
#include "base/result.h"

namespace outguard::api {

/// {"ok":true,"status":{...}}
[[nodiscard]] std::string answer_line(const SupervisorStatus &status);
/// An error also for a refusal. Members that are not there have their defaults: the supervisor may
/// be older; those that are unknown are passed over.
[[nodiscard]] Result<SupervisorStatus> parse_status(std::string_view line);

/// Rows of `outguard ... -o json`.
[[nodiscard]] std::string supervisor_json(const SupervisorStatus &status);
/// {"supervisor":null,"reason":...}
[[nodiscard]] std::string no_supervisor_json(const std::string &reason);
/// {"guard":null,"supervisor":null,"unguarded":...}
[[nodiscard]] std::string no_guard_json(const std::string &reason);
/// {"guard":{...},"supervisor":{...}}: of one VM, and of who guards it.
[[nodiscard]] std::string guard_json(const SupervisorStatus &status, const GuardStatus &guard);

} // namespace outguard::api
