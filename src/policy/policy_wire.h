#pragma once
// A policy as bytes, from the side that reads files to the sensor that judges. What is decoded is
// checked as what is written in a file is.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/flow_policy.h"

namespace outguard::policy {

/// Leaves room beside it in one message (kMaxMessageBytes).
inline constexpr std::size_t kMostWireBytes = std::size_t{128} * 1024;

[[nodiscard]] std::vector<std::uint8_t> encode(const FlowPolicy &policy);
[[nodiscard]] std::optional<FlowPolicy> decode(std::span<const std::uint8_t> bytes);

} // namespace outguard::policy
