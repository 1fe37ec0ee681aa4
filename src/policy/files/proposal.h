#pragma once
// A policy proposed from what was seen: denies by default and allows just that. Text for a person
// to read and cut down; read_policy() takes it. What a guest chose gets in only where it is plain.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard::policy {

/// Somebody who talked, or who waits to be talked to.
struct LearnedFlow {
  std::string exe;
  std::optional<std::string> container; ///< id; empty: in none; nullopt: not known
  FlowDirection initiator = FlowDirection::ToRemote;
  std::uint8_t protocol = 0;
  std::optional<std::uint16_t> port; ///< that it was begun to
  std::optional<IpAddress> remote;   ///< nullopt: any

  auto operator<=>(const LearnedFlow &) const = default;
};

/// More remote ends than this of one program and port become any.
inline constexpr std::size_t kMostLearnedRemotes = 16;

[[nodiscard]] std::string propose(const std::string &vm, const std::vector<LearnedFlow> &flows);

} // namespace outguard::policy
