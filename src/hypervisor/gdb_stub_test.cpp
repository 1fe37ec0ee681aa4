// What is left of a debugger stub after a crash, with a QEMU that only answers; with a live one:
// tests/system/test_signals.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/fake_qemu.h"
#include "hypervisor/gdb_stub.h"

namespace outguard::hypervisor {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using namespace std::chrono_literals;

/// Has these character devices, and stands `hits` times in `state`, each until it is let go.
class Qemu {
public:
  Qemu(std::string labels, std::string state, int hits)
      : labels_(std::move(labels)), state_(std::move(state)), hits_(hits),
        fake_(FakeQemu::Fault::None,
              [this](const std::string &command) { return answer(command); }),
        client_(QmpClient::connect(fake_.path(), 0, 1s)) {}

  [[nodiscard]] QmpClient &client() { return *client_; }
  [[nodiscard]] std::vector<std::string> commands() const { return fake_.commands(); }

private:
  std::string answer(const std::string &command) {
    if (command == "query-chardev") {
      return "[" + labels_ + "]";
    }
    if (command == "query-status") {
      return hits_ > 0 ? R"({"running":false,"status":")" + state_ + "\"}"
                       : R"({"running":true,"status":"running"})";
    }
    hits_ -= command == "cont" ? 1 : 0;
    return command == "human-monitor-command" ? "\"\"" : "{}";
  }

  std::string labels_, state_;
  std::atomic<int> hits_;
  FakeQemu fake_;
  Result<QmpClient> client_;
};

constexpr const char *kMark = R"({"label":"outguard-holds","frontend-open":false})";
constexpr const char *kOthers = R"({"label":"gdb","frontend-open":true})";

TEST(GdbStub, ABreakpointThatWasHitTwiceIsLetGoTwice) {
  Qemu qemu(kMark, "debug", 2);
  EXPECT_TRUE(close_gdb_stub(qemu.client()));
  EXPECT_THAT(qemu.commands(),
              ElementsAre("human-monitor-command", "query-status", "cont", "query-status", "cont",
                          "query-status", "chardev-remove"));
}

TEST(GdbStub, WhatStandsByOurMarkIsLetGo) {
  Qemu qemu(kMark, "debug", 1);
  EXPECT_TRUE(mend_gdb_stub(qemu.client()));
  EXPECT_THAT(qemu.commands(), ElementsAre("query-chardev", "query-status", "cont", "query-status",
                                           "chardev-remove"));
}

TEST(GdbStub, WhatStandsWithoutOurMarkOrByAnotherOrderStays) {
  for (const auto &[labels, state] : {std::pair("", "debug"), std::pair(kMark, "paused")}) {
    Qemu qemu(labels, state, 1);
    EXPECT_TRUE(mend_gdb_stub(qemu.client()));
    EXPECT_THAT(qemu.commands(), Not(Contains("cont"))) << state;
  }
}

TEST(GdbStub, AnothersStubIsLeftAlone) {
  Qemu qemu(std::string(kOthers) + "," + kMark, "debug", 1);
  EXPECT_TRUE(mend_gdb_stub(qemu.client()));
  const auto opened = open_gdb_stub(qemu.client(), "");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::Refused);
  EXPECT_THAT(qemu.commands(), ElementsAre("query-chardev", "query-chardev"));
}

TEST(GdbStub, AVmThatNeverGoesOnIsAnError) {
  Qemu qemu(kMark, "debug", 1000);
  const auto closed = close_gdb_stub(qemu.client());
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::Timeout);
  EXPECT_THAT(qemu.commands(), Not(Contains("chardev-remove"))) << "the next use goes on";
}

} // namespace
} // namespace outguard::hypervisor
