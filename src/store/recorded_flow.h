#pragma once
// What an EVE line of ours tells of a flow and of who held its socket, read back: to ask a policy
// about it. The file may have been edited or cut. Pure function, any thread.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "facts/flow_seen.h"

namespace outguard::store {

struct RecordedFlow {
  static constexpr std::size_t kMostProcesses = 64, kMostAncestors = 256;
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20; ///< a longer line is none of ours

  GuestText vm;     ///< its name
  std::string uuid; ///< empty: not told
  FlowTuple tuple;
  FlowDirection initiator = FlowDirection::ToRemote;
  std::optional<Attribution> attribution; ///< nullopt: the line tells of none
  std::optional<std::array<std::uint8_t, 32>> sha256;
  std::optional<std::string> host; ///< a name that was seen in it
};

/// nullopt: no line of ours with a flow and who began it. `flow_id`: only of that flow; empty: any.
[[nodiscard]] std::optional<RecordedFlow> recorded_flow(std::string_view json,
                                                        std::string_view flow_id = {});

} // namespace outguard::store
