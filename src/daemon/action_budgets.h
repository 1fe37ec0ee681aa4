#pragma once
// How much policies may do within a minute: of each action, to one VM, by one rule and on this
// host. One more opens that breaker, which refuses for a while, so that a wrong list or rule does
// not end what a whole host runs. Blocks have none unless configured: a guest could use it up by
// itself, and go on unblocked. What people ask for by hand costs nothing. Not locked: whoever uses
// it holds the desk's mutex.

#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "facts/action.h"

namespace outguard::daemon {

/// A minute; none: as many as there are.
struct ActionBudget {
  std::optional<unsigned> vm, rule, host;
};
using BudgetTable = std::array<ActionBudget, kResponseActions>; ///< by ResponseAction
[[nodiscard]] BudgetTable default_budgets();

class ActionBudgets {
public:
  ActionBudgets(const BudgetTable &table, std::chrono::seconds rest) : table_(table), rest_(rest) {}

  /// Why a policy may not do it now; empty: it may. Costs nothing.
  [[nodiscard]] std::string refusal(const ActionWanted &wanted,
                                    MonotonicTime now = monotonic_now()) const;
  /// Takes one of each budget, or opens the breaker of the one that is used up.
  [[nodiscard]] std::optional<BreakerOpened> take(const ActionWanted &wanted,
                                                  MonotonicTime now = monotonic_now());
  void close_breakers();

private:
  struct Scope {
    const char *kind;
    std::string name;
    unsigned most;
  };
  struct Budget {
    std::deque<MonotonicTime> uses; ///< of the last minute, at most as many as there may be
    MonotonicTime open_until{};
  };
  /// Those that have a limit.
  [[nodiscard]] std::vector<Scope> scopes_of(const ActionWanted &wanted) const;
  [[nodiscard]] static std::string key(const Scope &scope, ResponseAction action);
  [[nodiscard]] Budget &budget(const std::string &key, MonotonicTime now);

  BudgetTable table_;
  std::chrono::seconds rest_;
  std::map<std::string, Budget> budgets_;
};

/// "more than 5 kill a minute in this VM: refused for 600 s"
[[nodiscard]] std::string to_string(const BreakerOpened &opened);

} // namespace outguard::daemon
