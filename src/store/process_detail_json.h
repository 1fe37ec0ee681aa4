#pragma once
// JSON of one process in depth, by the contract of json_lines.h. Pure functions, any thread.

#include <array>
#include <string>

#include "facts/process_detail.h"

namespace outguard::store {

/// `outguard ps --pid -o json`: the members of process_json, then ancestors, threads, sha256.
[[nodiscard]] std::string process_detail_json(const GuestText &vm, const ProcessDetail &detail);

/// A row of `outguard ps --pid --maps -o json`.
[[nodiscard]] std::string map_json(const GuestText &vm, std::int32_t pid, const MapSeen &map);

[[nodiscard]] std::string hex(const std::array<std::uint8_t, 32> &digest);
/// "r-xp", as /proc/PID/maps has it.
[[nodiscard]] std::string permissions(const MapSeen &map);

} // namespace outguard::store
