#include "sensor/policy_judge.h"

#include <utility>

#include "policy/link_upkeep.h"
#include "policy/policy_wire.h"

namespace outguard::sensor {

bool PolicyJudge::use(const UsePolicy &request) {
  policy::FlowPolicy next;
  if (!request.bytes.empty()) {
    auto decoded = policy::decode(request.bytes);
    if (!decoded) {
      return false;
    }
    next = std::move(*decoded);
  }
  policy_ = std::move(next);
  name_ = request.name;
  in_force_ = !request.bytes.empty();
  asks_for_names_ = policy_.asks_for(policy::Condition::Host);
  ++generation_;
  return true;
}

PolicyJudge::Judged PolicyJudge::judge(const policy::FlowFacts &flow) const {
  if (!in_force_ || policy::is_link_upkeep(flow.tuple, flow.initiator)) {
    return {};
  }
  const auto verdict = policy_.judge(flow);
  if (verdict.by == PolicyBy::Unknown) {
    return {PolicyAnswer::NotYetKnown, verdict};
  }
  return {verdict.actions.allow() ? PolicyAnswer::Allow : PolicyAnswer::Refuse, verdict};
}

PolicyMatch PolicyJudge::describe(const policy::FlowFacts &flow,
                                  const policy::Verdict &verdict) const {
  PolicyMatch match;
  match.policy = name_;
  match.rule = policy_.decided_by(verdict);
  match.by = verdict.by;
  match.actions = verdict.actions;
  match.missing = verdict.missing;
  match.host = GuestText(std::string(flow.host.value_or(std::string_view())));
  for (std::size_t i = 0; verdict.by != PolicyBy::Unknown && i < policy::subjects(flow); ++i) {
    const auto subject = policy::subject(flow, i);
    if (subject.process != nullptr && policy_.judge_one(flow, i).actions == verdict.actions) {
      match.accused.push_back(subject.process->identity);
    }
  }
  return match;
}

} // namespace outguard::sensor
