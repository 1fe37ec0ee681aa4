#include <gtest/gtest.h>

#include "sensor/knock_table.h"

namespace outguard::sensor {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

FlowSeen flow(std::uint32_t remote, std::uint16_t port, std::int64_t at) {
  FlowSeen seen;
  seen.flow_id = remote * 100'000ULL + port;
  seen.tuple.remote.address.bytes[2] = static_cast<std::uint8_t>(remote >> 8);
  seen.tuple.remote.address.bytes[3] = static_cast<std::uint8_t>(remote);
  seen.tuple.local.port = port;
  seen.first_packet_ns = seen.last_packet_ns = at;
  return seen;
}

IndicatorHit hit(const char *value) {
  IndicatorHit made;
  made.value = GuestText(value);
  return made;
}

struct KnockTableTest : testing::Test {
  std::vector<MatchedFlowEnded> told;
  KnockTable table{[this](MatchedFlowEnded ended) { told.push_back(std::move(ended)); }};
};

TEST_F(KnockTableTest, OneEntryARemoteEndAndIndicator) {
  EXPECT_TRUE(table.add(flow(1, 22, kSecond), hit("a")));
  EXPECT_FALSE(table.add(flow(1, 23, 2 * kSecond), hit("a")));
  EXPECT_FALSE(table.add(flow(1, 22, 3 * kSecond), hit("a")));
  EXPECT_TRUE(table.add(flow(1, 22, 3 * kSecond), hit("b")));
  EXPECT_TRUE(table.add(flow(2, 22, 3 * kSecond), hit("a")));
  table.end_all();
  ASSERT_EQ(told.size(), 1U) << "of what came once nothing is left to tell";
  EXPECT_EQ(told[0].knocks->flows, 3U);
  EXPECT_EQ(told[0].knocks->ports, (std::vector<std::uint16_t>{22, 23}));
  EXPECT_FALSE(told[0].knocks->ports_cut);
  EXPECT_EQ(told[0].knocks->first_ns, kSecond);
  EXPECT_EQ(told[0].knocks->last_ns, 3 * kSecond);
  EXPECT_EQ(told[0].matches[0].count, 3U);
  EXPECT_EQ(told[0].reason, EndReason::Shutdown);
}

TEST_F(KnockTableTest, AfterAQuietTimeItIsToldAndNewAgain) {
  EXPECT_TRUE(table.add(flow(1, 22, kSecond), hit("a")));
  EXPECT_FALSE(table.add(flow(1, 23, 2 * kSecond), hit("a")));
  table.expire(2 * kSecond + KnockTable::kQuiet);
  EXPECT_TRUE(told.empty());
  table.expire(2 * kSecond + KnockTable::kQuiet + 1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].reason, EndReason::Timeout);
  EXPECT_TRUE(table.add(flow(1, 24, 2 * kSecond + 2 * KnockTable::kQuiet), hit("a")));
}

TEST_F(KnockTableTest, TheOneThatWasQuietLongestGivesWay) {
  for (std::uint32_t remote = 0; remote < KnockTable::kMost; ++remote) {
    EXPECT_TRUE(table.add(flow(remote, 22, kSecond), hit("a")));
    EXPECT_FALSE(table.add(flow(remote, 23, kSecond), hit("a")));
  }
  EXPECT_FALSE(table.add(flow(0, 24, 2 * kSecond), hit("a"))); // now the latest
  EXPECT_TRUE(table.add(flow(5000, 22, 3 * kSecond), hit("a")));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].flow.tuple.remote.address.bytes[3], 1);
  EXPECT_EQ(told[0].reason, EndReason::Forced);
  EXPECT_FALSE(table.add(flow(0, 25, 3 * kSecond), hit("a")));
}

} // namespace
} // namespace outguard::sensor
