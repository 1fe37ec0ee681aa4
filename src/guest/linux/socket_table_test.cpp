#include <gtest/gtest.h>

#include "facts/messages.h"
#include "guest/linux/socket_table.h"

namespace outguard::guest {
namespace {

/// One listener that so many processes hold.
SocketTable prefork(std::uint32_t workers) {
  SocketTable table;
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    Task task;
    task.tgid = task.pid = static_cast<std::int32_t>(worker + 1);
    task.comm = {'f', 'i', 'f', 't', 'e', 'e', 'n', '-', 'l', 'e', 't', 't', 'e', 'r', 's'};
    table.leaders.push_back(task);
    Holder holder;
    holder.leader = worker;
    holder.fd = 3;
    table.holders.push_back(holder);
  }
  SocketRow row;
  row.in_table = true;
  row.holder_count = workers;
  table.rows.push_back(row);
  return table;
}

TEST(SocketTable, EveryOwnerIsTold) {
  const auto seen = prefork(300).to_seen();
  EXPECT_EQ(seen.sockets.at(0).owners.size(), 300U);
  EXPECT_TRUE(seen.completeness.complete());
}

TEST(SocketTable, MoreOwnersThanFitOneMessageAreLeftOutAndThatIsSaid) {
  const auto seen = prefork(20'000).to_seen();
  EXPECT_EQ(seen.completeness.reason, PartialReason::RepeatsLeftOut);
  SocketRows rows;
  rows.rows = seen.sockets;
  EXPECT_GT(rows.rows.at(0).owners.size(), 1000U);
  EXPECT_LT(encode(ReportEnvelope{1, rows}).size(), kMaxMessageBytes);
}

} // namespace
} // namespace outguard::guest
