// Any bytes as a policy, and the guest's own words against it.
#include <cstdlib>
#include <string>

#include "policy/explanation.h"
#include "policy/host_pattern.h"
#include "policy/path_pattern.h"
#include "policy/policy_wire.h"

using namespace outguard;
using namespace outguard::policy;

namespace {

FlowPolicy full_policy() {
  Rule rule;
  rule.name = "all";
  rule.actions = Actions(Action::Kill);
  rule.direction = FlowDirection::ToGuest;
  rule.protocols = {6, 17};
  rule.remotes = {IpNetwork::parse("2001:db8::/32").value(),
                  IpNetwork::parse("10.0.0.0/8").value()};
  rule.ports = {{80, 80}, {8000, 8100}};
  rule.hosts = {"*.example.com"};
  rule.exes = {"/usr/*/bin/*", "/opt/"};
  rule.comms = {"a*b"};
  rule.sha256s.resize(2);
  rule.uids = {{0, 0}};
  rule.containers = {"any"};
  rule.units = {"*.service"};
  rule.ancestors = {"sshd"};
  PolicyParts parts;
  parts.otherwise = Actions(Action::Block);
  parts.rules = {rule};
  return FlowPolicy::make(parts).value();
}

void judge_hostile_text(const FlowPolicy &policy, const std::string &text) {
  Attribution attribution;
  attribution.status = AttributionStatus::Exact;
  attribution.processes.resize(2);
  for (auto &process : attribution.processes) {
    process.comm = GuestText(text);
    process.exe = process.container = process.unit = GuestText(text);
  }
  attribution.ancestors.push_back({1, GuestText(text)});
  FlowFacts flow;
  flow.attribution = &attribution;
  flow.host = text;
  const auto explained = explain(policy, flow);
  if (explained.verdict.actions != policy.judge(flow).actions || explained.holders.size() != 2) {
    std::abort();
  }
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {encode(full_policy()), encode(FlowPolicy()), {'/', 'u', 's', 'r', '/', 'x'}};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const FlowPolicy kFull = full_policy();
  const std::string text(data, data + size);
  judge_hostile_text(kFull, text);
  if (path_matches("*", text) != (text.find('/') == text.npos) ||
      path_matches("/", text) != (text.size() > 1 && text[0] == '/') ||
      (is_host_pattern(text) && text[0] != '*' && !host_matches(text, text))) {
    std::abort();
  }
  const auto policy = decode({data, size});
  if (policy) {
    const auto again = decode(encode(*policy)); // what was understood survives being said again
    if (!again || again->parts() != policy->parts()) {
      std::abort();
    }
    judge_hostile_text(*policy, text.substr(0, 64));
  }
  return 0;
}
