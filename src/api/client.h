#pragma once
// Asks a running supervisor. Blocks for a limited time; any thread.

#include <chrono>
#include <string>
#include <vector>

#include "api/supervisor_status.h"
#include "base/result.h"

namespace outguard::api {

inline constexpr const char *kRunFolder = "/run/outguard"; ///< unless configured otherwise

/// One line up, one line back, without its line feed. Permission: it is not root's.
[[nodiscard]] Result<std::string> ask(const std::string &path, const std::string &request,
                                      std::chrono::milliseconds wait = std::chrono::seconds(10));

struct Supervisors {
  std::vector<SupervisorStatus> running;
  std::vector<std::string> problems; ///< of those that are there and did not answer
};
[[nodiscard]] Supervisors find_supervisors(const std::string &folder);

} // namespace outguard::api
