// Any local program may connect; who is not root is turned away, but nothing rests on that alone.
#include <cstdlib>
#include <span>

#include "api/answers.h"
#include "api/requests.h"
#include "api/status_json.h"

using namespace outguard;

namespace {

std::vector<std::uint8_t> bytes_of(const std::string &text) {
  return {text.begin(), text.end()};
}

/// What was understood must survive being said again.
template <class Value, class Say, class Parse>
void check(const Result<Value> &value, Say say, Parse parse) {
  if (value) {
    const auto line = say(*value);
    const auto again = parse(line);
    if (!again || say(*again) != line) {
      std::abort();
    }
  }
}

template <class Value> std::string say(const Value &value) {
  return api::answer_line(value);
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  api::SupervisorStatus status;
  status.started = wall_now();
  status.intelligence.types = {{"address", 1}};
  status.intelligence.sources.resize(1);
  status.intelligence.feeds.resize(1);
  status.guards.resize(1);
  status.guards[0].enforcement.resize(1);
  status.guards[0].enforcement[0].rules.resize(1);
  status.guards[0].enforcement[0].dropped = {{"flow", 1}};
  api::Act act;
  act.vm = "web1";
  act.pid = 1;
  ActionRecord record;
  record.wanted.process = ProcessIdentity{1, 2, 3};
  record.asked_ns = 1'756'000'000'000'000'000;
  std::vector<std::vector<std::uint8_t>> seeds{
      bytes_of(api::refusal_line({ErrorCode::Refused, "no"})),
      bytes_of(api::answer_line(status)),
      bytes_of(api::request_line(api::StatusAsked())),
      bytes_of(api::request_line(api::ApproveAction{"a-1", "ff", {}})),
      bytes_of(api::request_line(api::CheckAllowed{"v", 1, {}})),
      bytes_of(api::answer_line(api::AllowAnswer()))};
  const FlowTuple flow{6, *Endpoint::parse("10.0.0.2:4000"), *Endpoint::parse("9.9.9.9:443")};
  for (const NetworkRule &rule :
       {NetworkRule(FlowRule{flow}), NetworkRule(RemoteRule{*IpNetwork::parse("10.0.0.0/8")}),
        NetworkRule(PortRule{17, 53, RuleDirection::Both}),
        NetworkRule(IsolationRule{{*IpNetwork::parse("10.0.0.1")}})}) {
    record.wanted.rule = act.rule = rule;
    seeds.push_back(bytes_of(api::request_line(act)));
    seeds.push_back(bytes_of(api::answer_line(api::ActionList{{record}, 1})));
    seeds.push_back(bytes_of(api::answer_line(record)));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string text(reinterpret_cast<const char *>(data), size);
  check(api::parse_request(text), api::request_line, api::parse_request);
  check(api::parse_status(text), say<api::SupervisorStatus>, api::parse_status);
  check(api::parse_action(text), say<ActionRecord>, api::parse_action);
  check(api::parse_actions(text), say<api::ActionList>, api::parse_actions);
  check(api::parse_allowed(text), say<api::AllowAnswer>, api::parse_allowed);
  return 0;
}
