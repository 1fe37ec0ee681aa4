#pragma once
// Actions as people say and read them. Everything is safe to show. Pure functions; any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/output.h"
#include "facts/action.h"
#include "facts/protection.h"

namespace outguard::cli {

/// "flow tcp LOCAL:PORT REMOTE:PORT", "remote ADDRESS|CIDR", "port in|out|both tcp|udp N".
[[nodiscard]] Result<NetworkRule> parse_block(const std::vector<std::string> &words);
/// Of `--allow`: sorted, each once.
[[nodiscard]] Result<IsolationRule> parse_isolation(const std::vector<std::string> &networks);
/// "90s", "10m", "1h", "2d": 1 second to 30 days.
[[nodiscard]] Result<std::chrono::seconds> parse_time_to_live(std::string_view text);

/// A pid of a guest.
[[nodiscard]] std::optional<std::int32_t> parse_pid(std::string_view text);

/// "kill pid 42", "block in tcp port 22", "pause".
[[nodiscard]] std::string what_of(const ActionWanted &wanted);
/// "done: killed", "waiting", "refused".
[[nodiscard]] std::string state_of(const ActionRecord &record);
/// "2026-01-31 12:00:00 UTC".
[[nodiscard]] std::string asked_at(const ActionRecord &record);
/// What `action show` prints.
[[nodiscard]] std::vector<std::pair<std::string, std::string>>
action_lines(const ActionRecord &record);

/// Of `allow list`: its id, what, VM, until when, by whom, why.
[[nodiscard]] std::vector<std::string> protection_cells(const Protection &entry);

enum class AskedFor { Act, Undo, Show };
struct Verdict {
  Exit code = Exit::Ok;
  std::string words; ///< for stderr, when the code is not Ok
};
[[nodiscard]] Verdict verdict_on(const ActionRecord &record, AskedFor asked);

} // namespace outguard::cli
