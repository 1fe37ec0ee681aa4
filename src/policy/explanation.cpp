#include "policy/explanation.h"

#include <utility>

#include <fmt/format.h>

#include "policy/condition_words.h"

namespace outguard::policy {

namespace {

std::string nobody(const FlowFacts &flow, std::size_t index) {
  if (flow.attribution == nullptr) {
    return "process not known: nobody was asked";
  }
  if (index >= FlowPolicy::kMostHolders) {
    return "processes beyond the first " + std::to_string(FlowPolicy::kMostHolders) +
           " that hold the socket: not judged";
  }
  if (subjects(flow) > index && index < flow.attribution->processes.size() &&
      flow.attribution->processes[index].torn) {
    return fmt::format("pid {}: changed while it was read",
                       flow.attribution->processes[index].identity.pid);
  }
  return std::string("process not known: ") + to_string(flow.attribution->status);
}

std::string holder(const FlowFacts &flow, std::size_t index) {
  const Subject seen = subject(flow, index);
  if (seen.process == nullptr) {
    return nobody(flow, index);
  }
  return fmt::format("pid {} {} ({})", seen.process->identity.pid, seen.process->comm.printable(),
                     observed(Condition::Exe, seen));
}

std::string missing_words(std::uint8_t bits) {
  static constexpr std::pair<Missing, const char *> kWords[] = {
      {Missing::Process, "who holds the socket"},
      {Missing::Detail, "all of the process"},
      {Missing::Hash, "the executable's hash"},
      {Missing::Host, "the name it goes to"}};
  std::string text;
  for (const auto &[bit, word] : kWords) {
    if ((bits & static_cast<std::uint8_t>(bit)) != 0) {
      text += (text.empty() ? "" : ", ") + std::string(word);
    }
  }
  return text;
}

RuleExplained explain_rule(const Rule &rule, const Subject &subject) {
  RuleExplained explained{rule.name, rule.actions, Truth::Yes, true, {}};
  for (std::size_t i = 0; i < kConditions; ++i) {
    const auto condition = static_cast<Condition>(i);
    if (!asks_for(rule, condition)) {
      continue;
    }
    const Truth truth = holds(rule, condition, subject);
    explained.conditions.push_back(
        {condition, truth, wanted(rule, condition), observed(condition, subject)});
    if (truth == Truth::No || explained.truth == Truth::Yes) {
      explained.truth = explained.truth == Truth::No ? Truth::No : truth;
    }
  }
  return explained;
}

} // namespace

std::string reason(const FlowPolicy &policy, const FlowFacts &flow, const Verdict &verdict) {
  const auto who = holder(flow, verdict.process);
  switch (verdict.by) {
  case Verdict::By::Rule:
    return fmt::format("rule {} fits {}", policy.parts().rules[verdict.rule].name, who);
  case Verdict::By::Default:
    return "no rule fits " + who;
  case Verdict::By::Unknown:
    break;
  }
  return fmt::format("not decided, as not known: {} ({})", missing_words(verdict.missing), who);
}

Explanation explain(const FlowPolicy &policy, const FlowFacts &flow) {
  Explanation explanation;
  explanation.verdict = policy.judge(flow);
  explanation.decided_by = policy.decided_by(explanation.verdict);
  explanation.reason = reason(policy, flow, explanation.verdict);
  for (std::size_t i = 0; i < subjects(flow); ++i) {
    HolderExplained &of = explanation.holders.emplace_back();
    of.process = holder(flow, i);
    bool decided = false;
    for (const auto &rule : policy.parts().rules) {
      auto explained = explain_rule(rule, subject(flow, i));
      explained.reached = !decided;
      decided = decided || explained.truth == Truth::Yes;
      of.rules.push_back(std::move(explained));
    }
  }
  return explanation;
}

} // namespace outguard::policy
