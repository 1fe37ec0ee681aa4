#include "daemon/response_section.h"

#include "yaml/strict_reader.h"

namespace outguard::daemon {

using namespace yaml;

namespace {

constexpr unsigned kMostAMinute = 10'000;

/// What policies may do.
constexpr ResponseAction kActions[] = {
    ResponseAction::Reset,     ResponseAction::BlockFlow, ResponseAction::BlockRemote,
    ResponseAction::BlockPort, ResponseAction::Isolate,   ResponseAction::Kill,
    ResponseAction::Suspend,   ResponseAction::PauseVm,   ResponseAction::Evidence};

std::size_t index_of(ResponseAction action) {
  return static_cast<std::size_t>(action);
}

ApprovalRule read_approval(const YAML::Node &node) {
  return read_word(node, {ApprovalRule::Auto, ApprovalRule::Approve, ApprovalRule::Never});
}

/// `default` is of those that have no key of their own, wherever it stands.
void read_approvals(const YAML::Node &node, std::array<ApprovalRule, kResponseActions> &approvals) {
  auto others = ApprovalRule::Auto;
  std::array<std::optional<ApprovalRule>, kResponseActions> own;
  Handlers handlers{{"default", [&](const auto &value) { others = read_approval(value); }}};
  for (const auto action : kActions) {
    handlers[to_string(action)] = [&own, action](const auto &value) {
      own[index_of(action)] = read_approval(value);
    };
  }
  read_mapping(node, handlers);
  for (const auto action : kActions) {
    approvals[index_of(action)] = own[index_of(action)].value_or(others);
  }
}

/// {vm: 5, rule: 20, host: 50}; each a number a minute, or `none`.
void read_budget(const YAML::Node &node, ActionBudget &budget) {
  const auto number = [](std::optional<unsigned> &most) {
    return [&most](const YAML::Node &value) {
      most = read_text(value) == "none" ? std::nullopt
                                        : std::optional(read_number(value, 0U, kMostAMinute));
    };
  };
  read_mapping(
      node,
      {{"vm", number(budget.vm)}, {"rule", number(budget.rule)}, {"host", number(budget.host)}});
}

void read_budgets(const YAML::Node &node, BudgetTable &budgets) {
  Handlers handlers;
  for (const auto action : kActions) {
    handlers[to_string(action)] = [&budgets, action](const auto &value) {
      read_budget(value, budgets[index_of(action)]);
    };
  }
  read_mapping(node, handlers);
}

} // namespace

void read_response_section(const YAML::Node &node,
                           std::array<ApprovalRule, kResponseActions> &approvals,
                           ActionLimits &limits) {
  const auto time = [](std::chrono::seconds &into) {
    return [&into](const YAML::Node &value) { into = read_duration(value); };
  };
  read_mapping(node, {{"approvals", [&](const auto &value) { read_approvals(value, approvals); }},
                      {"approval_time", time(limits.approval_time)},
                      {"budgets", [&](const auto &value) { read_budgets(value, limits.budgets); }},
                      {"breaker_rest", time(limits.breaker_rest)},
                      {"cool_down", time(limits.cool_down)}});
}

} // namespace outguard::daemon
