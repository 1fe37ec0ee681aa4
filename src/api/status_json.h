#pragma once
// Requests and answers of the API as JSON lines, for both ends. Pure functions; a line has no line
// feed. Nothing throws: what is malformed is an InvalidInput.

#include <string>
#include <string_view>

#include "api/supervisor_status.h"
#include "base/result.h"

namespace outguard::api {

struct Request {
  std::string verb;
};
[[nodiscard]] std::string request_line(const Request &request);
/// Strict: an object with a `verb`, and nothing else.
[[nodiscard]] Result<Request> parse_request(std::string_view line);

/// {"ok":false,"error":"..."}
[[nodiscard]] std::string refusal_line(const std::string &why);
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
