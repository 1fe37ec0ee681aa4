#include "policy/policy_wire.h"

#include "facts/wire.h"

namespace outguard::policy {

std::vector<std::uint8_t> encode(const FlowPolicy &policy) {
  WireWriter writer;
  writer(policy.parts());
  return writer.take();
}

std::optional<FlowPolicy> decode(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kMostWireBytes) {
    return std::nullopt;
  }
  PolicyParts parts;
  WireReader reader(bytes);
  reader(parts);
  if (!reader.finished()) {
    return std::nullopt;
  }
  auto policy = FlowPolicy::make(std::move(parts));
  return policy ? std::optional(std::move(*policy)) : std::nullopt;
}

} // namespace outguard::policy
