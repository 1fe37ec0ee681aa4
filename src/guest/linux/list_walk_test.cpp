#include <vector>

#include <gtest/gtest.h>

#include "guest/linux/list_walk.h"
#include "guest/testing/guest_image_builder.h"

namespace outguard::guest {
namespace {

struct ListWalkTest : testing::Test {
  ListWalkTest() {
    for (auto &node : nodes) {
      node = guest.allocate(16);
    }
    for (std::size_t index = 0; index < nodes.size(); ++index) {
      link(index, (index + 1) % nodes.size());
    }
  }
  void link(std::size_t from, std::size_t to) {
    guest.put_pointer(nodes[from], nodes[to]);
    guest.put_pointer(nodes[to].plus_wrapping(8), nodes[from]);
  }
  /// nodes[0] is the head.
  std::vector<GuestVirtual> walk(std::uint64_t steps = 1000) { return walk_to(nodes[0], steps); }
  std::vector<GuestVirtual> walk_to(std::optional<GuestVirtual> end, std::uint64_t steps = 1000) {
    const AddressSpace space = guest.space();
    KernelReader reader(space, WalkBudget(steps, 1 << 20));
    std::vector<GuestVirtual> visited;
    ListWalk list(reader, nodes[0], reader.pointer(nodes[0]).value(), end);
    while (const auto node = list.node(outcome)) {
      const auto next = reader.pointer(*node);
      const auto back = reader.pointer(node->plus_wrapping(8));
      if (!next || !back) {
        list.give_up(next ? back.error() : next.error(), outcome);
      } else if (list.accept({*next, *back}, outcome)) {
        visited.push_back(*node);
      }
    }
    return visited;
  }

  GuestImageBuilder guest;
  std::vector<GuestVirtual> nodes = std::vector<GuestVirtual>(6);
  Completeness outcome;
};

TEST_F(ListWalkTest, VisitsAllInOrder) {
  EXPECT_EQ(walk(), std::vector<GuestVirtual>(nodes.begin() + 1, nodes.end()));
  EXPECT_TRUE(outcome.complete());
}

TEST_F(ListWalkTest, EndsOnlyAtItsOwnEnd) {
  const std::vector<GuestVirtual> markers = {GuestVirtual(0), GuestVirtual(7), GuestVirtual(9)};
  std::vector<std::optional<GuestVirtual>> ends(markers.begin(), markers.end());
  ends.emplace_back(nodes[0]);
  for (const GuestVirtual found : markers) {
    guest.put_pointer(nodes[3], found);
    for (const auto &end : ends) {
      outcome = {};
      EXPECT_EQ(walk_to(end).size(), 3U);
      EXPECT_EQ(outcome.reason, end == found ? PartialReason::None : PartialReason::ListBroken);
    }
    outcome = {};
    EXPECT_EQ(walk_to(std::nullopt).size(), 3U);
    EXPECT_TRUE(outcome.complete());
  }
}

TEST_F(ListWalkTest, OneWrongBackLinkIsAnOperationInFlight) {
  guest.put_pointer(nodes[3].plus_wrapping(8), nodes[1]); // as in the middle of a removal of node 2
  EXPECT_EQ(walk().size(), 5U);
  EXPECT_TRUE(outcome.complete());
}

TEST_F(ListWalkTest, ACycleEndsAndIsReported) {
  guest.put_pointer(nodes[5], nodes[2]);
  EXPECT_LE(walk().size(), 10U);
  EXPECT_EQ(outcome.reason, PartialReason::ListBroken);
}

TEST_F(ListWalkTest, ACycleWhoseBackLinksAgreeEndsLongBeforeTheBudget) {
  for (const std::size_t into : {2U, 3U, 5U}) { // of one to four nodes
    link(5, into);
    outcome = {};
    EXPECT_LE(walk(1'000'000).size(), 20U);
    EXPECT_EQ(outcome.reason, PartialReason::ListBroken);
    link(5, 0);
    link(into - 1, into);
  }
}

TEST_F(ListWalkTest, ANodeThatPointsToItselfEnds) {
  guest.put_pointer(nodes[2], nodes[2]);
  EXPECT_LE(walk().size(), 4U);
  EXPECT_EQ(outcome.reason, PartialReason::ListBroken);
}

TEST_F(ListWalkTest, AWildPointerIsUnreadable) {
  guest.put_pointer(nodes[2], GuestVirtual{0x1234'5678});
  EXPECT_EQ(walk().size(), 2U);
  EXPECT_EQ(outcome.reason, PartialReason::Unreadable);
}

TEST_F(ListWalkTest, TheBudgetEndsIt) {
  EXPECT_EQ(walk(10).size(), 3U); // three steps each, and the first pointer
  EXPECT_EQ(outcome.reason, PartialReason::BudgetExhausted);
}

} // namespace
} // namespace outguard::guest
