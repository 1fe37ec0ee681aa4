#include "daemon/hold_section.h"

#include <algorithm>

#include "facts/network_rule.h"

namespace outguard::daemon {

using namespace yaml;

namespace {

enum class WhenDead : std::uint8_t { Open, Closed };
const char *to_string(WhenDead fail) {
  return fail == WhenDead::Open ? "open" : "closed";
}

} // namespace

bool HoldConfig::holds(const std::string &name, const std::string &key) const {
  return vms.empty() || std::any_of(vms.begin(), vms.end(), [&](const std::string &wanted) {
           return wanted == name || wanted == key;
         });
}

HoldConfig read_hold(const YAML::Node &node) {
  constexpr std::uint64_t kMillisecond = 1'000'000;
  HoldConfig hold;
  read_mapping(
      node, {{"direction",
              [&](const auto &value) {
                const auto direction = read_word(
                    value, {RuleDirection::Outbound, RuleDirection::Inbound, RuleDirection::Both});
                hold.settings.from_guest = direction != RuleDirection::Inbound;
                hold.settings.to_guest = direction != RuleDirection::Outbound;
              }},
             {"fail",
              [&](const auto &value) {
                hold.settings.fail_open =
                    read_word(value, {WhenDead::Open, WhenDead::Closed}) == WhenDead::Open;
              }},
             {"within_ms",
              [&](const auto &value) {
                hold.settings.bound_ns =
                    read_number<std::uint64_t>(value, 50, 60'000) * kMillisecond;
              }},
             {"vms", [&](const auto &value) {
                read_list(value, [&](const auto &item) { hold.vms.push_back(read_text(item)); });
              }}});
  return hold;
}

} // namespace outguard::daemon
