#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "cli/process_table.h"

namespace outguard::cli {
namespace {

TEST(StartersOf, AParentThatCouldNotBeReadIsNotNobody) {
  ProcessSeen process;
  EXPECT_EQ(starters_of(process, {}, false), "?");
  process.ppid = 12;
  EXPECT_EQ(starters_of(process, {}, false), "?");
  process.ppid = 0;
  EXPECT_EQ(starters_of(process, {}, false), "(nobody)");
  const std::vector<Ancestor> ancestors{{12, GuestText("sh\x1b")}, {1, GuestText("init")}};
  EXPECT_EQ(starters_of(process, ancestors, false), "sh\\x1b[12] <- init[1]");
  EXPECT_EQ(starters_of(process, std::span(ancestors).first(1), true), "sh\\x1b[12] <- ?");
}

TEST(StateLetter, NoByteOfASensorReachesTheTerminalUnlessItIsALetter) {
  EXPECT_EQ(state_letter('S'), 'S');
  for (const char other : {'\0', '\n', '\x1b', '\x9b', '?'}) {
    EXPECT_EQ(state_letter(other), '?');
  }
}

} // namespace
} // namespace outguard::cli
