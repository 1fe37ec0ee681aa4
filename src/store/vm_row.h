#pragma once
// A VM as `vm list` and `vm show` tell it: what is seen of it, and the reason for each gap.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/flow_seen.h"
#include "facts/guest_text.h"
#include "facts/kernel_seen.h"

namespace outguard::store {

struct VmRow {
  GuestText name;
  std::string uuid; ///< empty: none
  std::int32_t pid = 0;
  std::string machine;
  std::optional<std::uint64_t> memory_bytes;
  GuestState state = GuestState::Starting;
  std::string memory;           ///< "mapped" or "process"; empty: not opened
  KernelSeen kernel;            ///< meaningful when Ready
  std::uint64_t connect_us = 0; ///< parts of the attach, beside those in `kernel`
  std::uint64_t walk_us = 0;
  std::vector<std::string> taps;
  std::vector<std::string> gaps; ///< our own words
  std::string guarded = {};      ///< an object of ours in JSON, whose members are added; or empty
};

/// A row of `outguard vm list -o json`.
[[nodiscard]] std::string vm_json(const VmRow &row);

} // namespace outguard::store
