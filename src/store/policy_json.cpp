#include "store/policy_json.h"

#include "policy/condition_words.h"
#include "store/json_value.h"

namespace outguard::store {

namespace {

using policy::Truth;

const char *word(Truth truth) {
  switch (truth) {
  case Truth::Yes:
    return "yes";
  case Truth::No:
    return "no";
  case Truth::Unknown:
    break;
  }
  return "unknown";
}

Json actions(const policy::Actions &wanted) {
  auto list = Json::array();
  for (const auto action : policy::kActions) {
    if (wanted.has(action)) {
      list.push_back(to_string(action));
    }
  }
  return wanted.allow() ? Json::array({"allow"}) : list;
}

Json verdict(const JudgedFlow &judged) {
  const auto &flow = judged.flow;
  const bool ports = policy::has_ports(flow.tuple.protocol);
  return {{"policy", text(judged.file)},
          {"proto", protocol_name(flow.tuple.protocol)},
          {"local_ip", flow.tuple.local.address.to_string()},
          {"local_port", ports ? Json(flow.tuple.local.port) : Json()},
          {"remote_ip", flow.tuple.remote.address.to_string()},
          {"remote_port", ports ? Json(flow.tuple.remote.port) : Json()},
          {"direction", policy::to_string(flow.initiator)},
          {"verdict", actions(judged.explanation.verdict.actions)},
          {"rule", text(judged.explanation.decided_by)},
          {"reason", text(judged.explanation.reason)}};
}

Json rule(const policy::RuleExplained &of) {
  auto conditions = Json::array();
  for (const auto &condition : of.conditions) {
    conditions.push_back({{"key", policy::to_string(condition.condition)},
                          {"holds", word(condition.truth)},
                          {"wanted", text(condition.wanted)},
                          {"observed", text(condition.observed)}});
  }
  return {{"rule", text(of.name)},
          {"action", actions(of.actions)},
          {"fits", word(of.truth)},
          {"reached", of.reached},
          {"conditions", std::move(conditions)}};
}

} // namespace

std::string verdict_json(const JudgedFlow &judged) {
  return line(verdict(judged));
}

std::string policy_explanation_json(const JudgedFlow &judged) {
  auto row = verdict(judged);
  row["holders"] = Json::array();
  for (const auto &holder : judged.explanation.holders) {
    auto rules = Json::array();
    for (const auto &of : holder.rules) {
      rules.push_back(rule(of));
    }
    row["holders"].push_back({{"process", text(holder.process)}, {"rules", std::move(rules)}});
  }
  return line(row);
}

} // namespace outguard::store
