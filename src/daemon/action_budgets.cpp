#include "daemon/action_budgets.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/printable.h"
#include "daemon/action_rules.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::minutes kWindow{1};
/// Rules and VMs of one host; those that are gone are forgotten first.
constexpr std::size_t kMostBudgets = 4096;

std::size_t index_of(ResponseAction action) {
  return static_cast<std::size_t>(action);
}

} // namespace

BudgetTable default_budgets() {
  BudgetTable table;
  table[index_of(ResponseAction::Kill)] = {5, 20, 50};
  table[index_of(ResponseAction::Suspend)] = {5, 20, 50};
  table[index_of(ResponseAction::Isolate)] = {2, 5, 10};
  table[index_of(ResponseAction::PauseVm)] = {1, 2, 5};
  table[index_of(ResponseAction::Reset)] = {120, 1200, 1200};
  table[index_of(ResponseAction::Evidence)] = {5, 20, 20};
  return table;
}

std::vector<ActionBudgets::Scope> ActionBudgets::scopes_of(const ActionWanted &wanted) const {
  const auto &budget = table_[index_of(wanted.action)];
  std::vector<Scope> scopes;
  if (budget.vm) {
    scopes.push_back({"vm", wanted.vm, *budget.vm});
  }
  if (budget.rule) {
    scopes.push_back({"rule", rule_of_policy(wanted), *budget.rule});
  }
  if (budget.host) {
    scopes.push_back({"host", "", *budget.host});
  }
  return scopes;
}

std::string ActionBudgets::key(const Scope &scope, ResponseAction action) {
  return fmt::format("{} {} {}", to_string(action), scope.kind, scope.name);
}

std::string ActionBudgets::refusal(const ActionWanted &wanted, MonotonicTime now) const {
  for (const auto &scope : scopes_of(wanted)) {
    const auto found = budgets_.find(key(scope, wanted.action));
    if (found != budgets_.end() && now < found->second.open_until) {
      return "breaker open: " +
             to_string(BreakerOpened{
                 wanted.action, scope.kind, scope.name, scope.most,
                 std::chrono::ceil<std::chrono::seconds>(found->second.open_until - now)});
    }
  }
  return {};
}

std::optional<BreakerOpened> ActionBudgets::take(const ActionWanted &wanted, MonotonicTime now) {
  const auto scopes = scopes_of(wanted);
  for (const auto &scope : scopes) {
    auto &one = budget(key(scope, wanted.action), now);
    while (!one.uses.empty() && now - one.uses.front() >= kWindow) {
      one.uses.pop_front();
    }
    if (one.uses.size() >= scope.most) {
      one.open_until = now + rest_;
      return BreakerOpened{wanted.action, scope.kind, scope.name, scope.most, rest_};
    }
  }
  for (const auto &scope : scopes) {
    budget(key(scope, wanted.action), now).uses.push_back(now);
  }
  return std::nullopt;
}

ActionBudgets::Budget &ActionBudgets::budget(const std::string &key, MonotonicTime now) {
  if (budgets_.size() >= kMostBudgets && !budgets_.contains(key)) {
    std::erase_if(budgets_, [&](const auto &entry) {
      const auto &one = entry.second;
      return now >= one.open_until && (one.uses.empty() || now - one.uses.back() >= kWindow);
    });
    if (budgets_.size() >= kMostBudgets) {
      budgets_.erase(budgets_.begin());
    }
  }
  return budgets_[key];
}

void ActionBudgets::close_breakers() {
  budgets_.clear();
}

std::string to_string(const BreakerOpened &opened) {
  const auto where = opened.scope == "host"   ? std::string("on this host")
                     : opened.scope == "rule" ? "by rule " + to_printable(opened.name)
                                              : std::string("in this VM");
  return fmt::format("more than {} {} a minute {}: refused for {} s", opened.most,
                     to_string(opened.action), where, opened.rest.count());
}

} // namespace outguard::daemon
