#include "facts/network_rule.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace outguard {

namespace {

std::uint8_t most_bits(IpFamily family) {
  return family == IpFamily::V4 ? 32 : 128;
}

/// The first `length` bits are the same.
bool same_prefix(const IpAddress &one, const IpAddress &other, unsigned length) {
  const std::size_t whole = length / 8;
  const unsigned rest = length % 8;
  if (!std::equal(one.bytes.begin(), one.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  other.bytes.begin())) {
    return false;
  }
  return rest == 0 || ((one.bytes[whole] ^ other.bytes[whole]) >> (8 - rest)) == 0;
}

struct InWords {
  std::string operator()(const FlowRule &rule) const {
    return fmt::format("{} {} <-> {}", protocol_name(rule.flow.protocol),
                       rule.flow.local.to_string(), rule.flow.remote.to_string());
  }
  std::string operator()(const RemoteRule &rule) const {
    return "remote " + rule.remote.to_string();
  }
  std::string operator()(const PortRule &rule) const {
    return fmt::format("{} {} port {}", outguard::to_string(rule.direction),
                       protocol_name(rule.protocol), rule.port);
  }
  std::string operator()(const IsolationRule &rule) const {
    std::string text = "all";
    for (const auto &network : rule.allowed) {
      text += (text == "all" ? " but " : ", ") + network.to_string();
    }
    return text;
  }
};

} // namespace

bool IpNetwork::contains(const IpAddress &other) const {
  return other.family == address.family && prefix_length <= most_bits(address.family) &&
         same_prefix(address, other, prefix_length);
}

std::string IpNetwork::to_string() const {
  return prefix_length == most_bits(address.family)
             ? address.to_string()
             : fmt::format("{}/{}", address.to_string(), prefix_length);
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    return std::nullopt;
  }
  IpNetwork network{*address, most_bits(address->family)};
  if (slash == std::string_view::npos) {
    return network;
  }
  const auto digits = text.substr(slash + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), network.prefix_length);
  if (error != std::errc{} || end != digits.data() + digits.size() ||
      network.prefix_length > most_bits(address->family)) {
    return std::nullopt;
  }
  for (unsigned bit = network.prefix_length; bit < most_bits(address->family); ++bit) {
    if ((address->bytes[bit / 8] & (0x80U >> (bit % 8))) != 0) {
      return std::nullopt;
    }
  }
  return network;
}

const char *to_string(RuleDirection direction) {
  switch (direction) {
  case RuleDirection::Inbound:
    return "in";
  case RuleDirection::Outbound:
    return "out";
  case RuleDirection::Both:
    return "both";
  }
  return "unknown";
}

std::string to_string(const NetworkRule &rule) {
  return std::visit(InWords{}, rule);
}

} // namespace outguard
