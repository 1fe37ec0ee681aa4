#include <gtest/gtest.h>

#include "daemon/action_budgets.h"
#include "daemon/action_rules.h"

namespace outguard::daemon {
namespace {

using namespace std::chrono_literals;

ActionWanted kill_in(const std::string &vm, const std::string &rule = "listed") {
  ActionWanted wanted;
  wanted.vm = vm;
  wanted.actor = policy_actor(rule);
  return wanted;
}

class ActionBudgetsTest : public testing::Test {
protected:
  /// Whether it may be done, which costs one.
  bool may(const ActionWanted &wanted) {
    if (!budgets_.refusal(wanted, now_).empty()) {
      return false;
    }
    const auto opened = budgets_.take(wanted, now_);
    if (opened) {
      last_ = *opened;
    }
    return !opened;
  }
  void use(const ActionBudget &kills) {
    BudgetTable table{};
    table[static_cast<std::size_t>(ResponseAction::Kill)] = kills;
    budgets_ = ActionBudgets(table, 600s);
  }

  ActionBudgets budgets_{default_budgets(), 600s};
  MonotonicTime now_ = monotonic_now();
  BreakerOpened last_;
};

TEST_F(ActionBudgetsTest, TheBreakerOpensAndRests) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(may(kill_in("vm")));
  }
  EXPECT_FALSE(may(kill_in("vm")));
  EXPECT_EQ(last_.scope, "vm");
  EXPECT_EQ(last_.name, "vm");
  EXPECT_TRUE(may(kill_in("other")));
  now_ += 2min;
  EXPECT_FALSE(may(kill_in("vm"))) << "an open breaker outlasts the minute";
  EXPECT_NE(budgets_.refusal(kill_in("vm"), now_).find("480 s"), std::string::npos);
  now_ += 10min;
  EXPECT_TRUE(may(kill_in("vm")));
}

TEST_F(ActionBudgetsTest, AMinuteLaterThereIsAnother) {
  for (int i = 0; i < 100; ++i, now_ += 12s) {
    EXPECT_TRUE(may(kill_in("vm"))) << i;
  }
}

TEST_F(ActionBudgetsTest, OneVmCannotSpendWhatTheOthersHave) {
  for (int i = 0; i < 1000; ++i, now_ += 1s) {
    (void)may(kill_in("noisy"));
  }
  EXPECT_TRUE(may(kill_in("quiet")));
}

TEST_F(ActionBudgetsTest, ARuleAndTheHostHaveTheirOwn) {
  use({{}, 2, 3});
  EXPECT_TRUE(may(kill_in("a")));
  EXPECT_TRUE(may(kill_in("b")));
  EXPECT_FALSE(may(kill_in("c")));
  EXPECT_EQ(last_.scope, "rule");
  EXPECT_EQ(to_string(last_), "more than 2 kill a minute by rule listed: refused for 600 s");
  EXPECT_TRUE(may(kill_in("c", "other")));
  EXPECT_FALSE(may(kill_in("d", "third")));
  EXPECT_EQ(to_string(last_), "more than 3 kill a minute on this host: refused for 600 s");
  budgets_.close_breakers();
  EXPECT_TRUE(may(kill_in("d", "third")));
}

TEST_F(ActionBudgetsTest, NoneMeansNoneAndZeroNever) {
  use({0, {}, {}});
  EXPECT_FALSE(may(kill_in("vm")));
  auto block = kill_in("vm");
  block.action = ResponseAction::BlockFlow;
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(may(block)) << "a guest must not be able to use up its containment";
  }
}

} // namespace
} // namespace outguard::daemon
