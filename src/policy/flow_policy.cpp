#include "policy/flow_policy.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/printable.h"
#include "policy/host_pattern.h"

namespace outguard::policy {

namespace {

constexpr std::size_t kMostComm = 15; // TASK_COMM_LEN without its end
constexpr const char *kDefault = "default", *kUnknown = "unknown";

void note(std::uint8_t &bits, Missing missing) {
  bits = static_cast<std::uint8_t>(bits | static_cast<std::uint8_t>(missing));
}

/// Bits of what is missing only where the answer is Unknown.
Truth fits(const Rule &rule, const Subject &subject, std::uint8_t &missing) {
  std::uint8_t bits = 0;
  for (std::size_t i = 0; i < kConditions; ++i) {
    const auto condition = static_cast<Condition>(i);
    const Truth truth = holds(rule, condition, subject);
    if (truth == Truth::No) {
      return Truth::No;
    }
    if (truth == Truth::Unknown) {
      note(bits, missing_for(condition, subject));
    }
  }
  missing = static_cast<std::uint8_t>(missing | bits);
  return bits == 0 ? Truth::Yes : Truth::Unknown;
}

/// Only what was read at or after the flow's first packet says who it was.
bool is_of_this_flow(const Attribution &attribution) {
  return (attribution.status == AttributionStatus::Exact ||
          attribution.status == AttributionStatus::Listener) &&
         !attribution.processes.empty();
}

template <class Items> std::string text_problem(const char *what, const Items &items) {
  for (const auto &item : items) {
    if (item.empty() || item.size() > FlowPolicy::kMostText) {
      return std::string(what) + " is empty or longer than " +
             std::to_string(FlowPolicy::kMostText) + " bytes";
    }
  }
  return {};
}

std::string list_problem(const Rule &rule) {
  for (const auto size :
       {rule.protocols.size(), rule.remotes.size(), rule.ports.size(), rule.hosts.size(),
        rule.exes.size(), rule.comms.size(), rule.sha256s.size(), rule.uids.size(),
        rule.containers.size(), rule.units.size(), rule.ancestors.size()}) {
    if (size > FlowPolicy::kMostItems) {
      return "a list has more than " + std::to_string(FlowPolicy::kMostItems) + " items";
    }
  }
  for (auto problem :
       {text_problem("host", rule.hosts), text_problem("exe", rule.exes),
        text_problem("comm", rule.comms), text_problem("container", rule.containers),
        text_problem("unit", rule.units), text_problem("ancestor", rule.ancestors)}) {
    if (!problem.empty()) {
      return problem;
    }
  }
  return {};
}

std::string flow_problem(const Rule &rule) {
  if (rule.direction && *rule.direction > FlowDirection::ToGuest) {
    return "no such direction";
  }
  for (const auto &network : rule.remotes) {
    if (network.prefix_length > (network.address.family == IpFamily::V4 ? 32 : 128)) {
      return "a network's prefix is too long";
    }
  }
  if (std::any_of(rule.ports.begin(), rule.ports.end(),
                  [](const auto &range) { return range.first > range.last; })) {
    return "a range of ports ends before it begins";
  }
  if (!rule.ports.empty() && !rule.protocols.empty() &&
      std::none_of(rule.protocols.begin(), rule.protocols.end(), has_ports)) {
    return "a port, and no protocol that has ports: this never fits";
  }
  if (!std::all_of(rule.hosts.begin(), rule.hosts.end(), is_host_pattern)) {
    return "expected a host as www.example.com or *.example.com (xn-- for other alphabets)";
  }
  return {};
}

std::string process_problem(const Rule &rule) {
  for (const auto &exe : rule.exes) {
    if (exe.front() != '/' && exe.front() != '*') {
      return "exe is a whole path, or a pattern that begins with '*'";
    }
  }
  for (const auto *names : {&rule.comms, &rule.ancestors}) {
    for (const auto &name : *names) {
      const auto stars = static_cast<std::size_t>(std::count(name.begin(), name.end(), '*'));
      if (name.size() - stars > kMostComm) {
        return "a task's name has at most 15 bytes; '" + name + "' never fits";
      }
    }
  }
  if (std::any_of(rule.uids.begin(), rule.uids.end(),
                  [](const auto &range) { return range.first > range.last; })) {
    return "a range of uids ends before it begins";
  }
  return {};
}

} // namespace

std::string complaint(const Rule &rule) {
  if (rule.name.empty() || rule.name.size() > 64 || !is_printable(rule.name)) {
    return "a rule's name has 1 to 64 printable bytes";
  }
  if (rule.name == kDefault || rule.name == kUnknown) {
    return "no rule may be named '" + rule.name + "': alerts say so where none decided";
  }
  if (!rule.actions.valid()) {
    return "no such action";
  }
  if (auto problem = list_problem(rule); !problem.empty()) {
    return problem;
  }
  auto problem = flow_problem(rule);
  return problem.empty() ? process_problem(rule) : problem;
}

Result<FlowPolicy> FlowPolicy::make(PolicyParts parts) {
  if (parts.rules.size() > kMostRules) {
    return fail(ErrorCode::LimitReached, "more than " + std::to_string(kMostRules) + " rules");
  }
  if (!parts.otherwise.valid() || !parts.unknown.valid()) {
    return fail(ErrorCode::InvalidInput, "no such action");
  }
  std::set<std::string_view> names;
  for (const auto &rule : parts.rules) {
    if (auto wrong = complaint(rule); !wrong.empty()) {
      return fail(ErrorCode::InvalidInput, "rule " + rule.name + ": " + std::move(wrong));
    }
    if (!names.insert(rule.name).second) {
      return fail(ErrorCode::InvalidInput, "two rules are named " + rule.name);
    }
  }
  FlowPolicy policy;
  policy.parts_ = std::move(parts);
  return policy;
}

std::size_t subjects(const FlowFacts &flow) {
  if (flow.attribution == nullptr || !is_of_this_flow(*flow.attribution)) {
    return 1;
  }
  return std::min(flow.attribution->processes.size(), FlowPolicy::kMostHolders + 1);
}

Subject subject(const FlowFacts &flow, std::size_t index) {
  Subject subject{&flow, nullptr, nullptr, nullptr};
  if (flow.attribution == nullptr || !is_of_this_flow(*flow.attribution) ||
      index >= FlowPolicy::kMostHolders || flow.attribution->processes[index].torn) {
    return subject;
  }
  subject.process = &flow.attribution->processes[index];
  if (index == 0) {
    subject.lineage = flow.attribution;
    subject.sha256 = flow.sha256;
  }
  return subject;
}

Verdict FlowPolicy::judge(const Subject &subject) const {
  Verdict verdict{parts_.otherwise, Verdict::By::Default, 0, 0, 0};
  bool is_open = false, is_mixed = false;
  std::size_t first_open = 0;
  std::uint8_t missing = 0;
  for (std::size_t i = 0; i < parts_.rules.size(); ++i) {
    const Rule &rule = parts_.rules[i];
    const Truth truth = fits(rule, subject, missing);
    if (truth == Truth::Yes) {
      verdict = {rule.actions, Verdict::By::Rule, i, 0, 0};
      break;
    }
    if (truth == Truth::Unknown) {
      first_open = is_open ? first_open : i;
      is_open = true;
      is_mixed = is_mixed || rule.actions != parts_.rules[first_open].actions;
    }
  }
  if (is_open && (is_mixed || parts_.rules[first_open].actions != verdict.actions)) {
    return {parts_.unknown, Verdict::By::Unknown, first_open, 0, missing};
  }
  return verdict;
}

Verdict FlowPolicy::judge(const FlowFacts &flow) const {
  Verdict worst = judge(subject(flow, 0));
  for (std::size_t i = 1; i < subjects(flow); ++i) {
    Verdict verdict = judge(subject(flow, i));
    if (flow.attribution->ambiguous && verdict.actions != worst.actions) {
      // One of them holds this flow, the others its twins in other namespaces.
      const auto missing = static_cast<std::uint8_t>(Missing::Process);
      return {parts_.unknown, Verdict::By::Unknown, worst.rule, 0, missing};
    }
    if (verdict.actions > worst.actions) {
      worst = verdict;
      worst.process = i;
    }
  }
  return worst;
}

Verdict FlowPolicy::judge_one(const FlowFacts &flow, std::size_t index) const {
  return judge(subject(flow, index));
}

bool FlowPolicy::asks_for(Condition condition) const {
  return std::any_of(parts_.rules.begin(), parts_.rules.end(),
                     [&](const Rule &rule) { return policy::asks_for(rule, condition); });
}

std::string FlowPolicy::decided_by(const Verdict &verdict) const {
  switch (verdict.by) {
  case Verdict::By::Rule:
    return parts_.rules[verdict.rule].name;
  case Verdict::By::Default:
    return kDefault;
  case Verdict::By::Unknown:
    break;
  }
  return kUnknown;
}

} // namespace outguard::policy
