#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/fake_gdb_stub.h"
#include "hypervisor/gdb_remote.h"

namespace outguard::hypervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;
using Fault = FakeGdbStub::Fault;

MonotonicTime soon(std::chrono::milliseconds wait = 2000ms) {
  return monotonic_now() + wait;
}

/// With a stub that was told, before it opened, to stop a processor somewhere.
struct Talk {
  explicit Talk(Fault fault = Fault::None)
      : stub(fault),
        remote(stub.connect(gdb::packets({gdb::kWhy, gdb::break_at(kPlace), gdb::kRun}))) {}
  static constexpr std::uint64_t kPlace = 0xffffffff81000000;
  FakeGdbStub stub;
  GdbRemote remote;
};

TEST(GdbRemote, StopsReadsChangesAndLetsGo) {
  Talk talk;
  ASSERT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
  const auto stop = talk.remote.wait_for_stop(soon());
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->signal, 5U) << "not what was said at the connect";
  EXPECT_EQ(stop->thread, "02");
  talk.stub.put(0x2000, {0x5f, 0xc3});
  ASSERT_TRUE(talk.remote.send({gdb::choose(*stop), gdb::kRegisters, gdb::read_memory(0x2000, 2)}));
  ASSERT_TRUE(talk.remote.expect_ok("the choice", soon()));
  auto registers = talk.remote.registers(soon());
  ASSERT_TRUE(registers);
  EXPECT_EQ(registers->general[Rax], 0x11U);
  EXPECT_EQ(registers->general[Rsp], FakeGdbStub::kStack);
  EXPECT_EQ(registers->rip, FakeGdbStub::kStop);
  EXPECT_EQ(registers->eflags, 0x46U);
  EXPECT_EQ(registers->cs, 0x10U);
  EXPECT_EQ(registers->ss, 0x18U);
  std::array<std::uint8_t, 2> read{};
  ASSERT_TRUE(talk.remote.memory(read, soon()));
  EXPECT_THAT(read, ElementsAre(0x5f, 0xc3));
  registers->rip = 0x1122;
  ASSERT_TRUE(talk.remote.send({gdb::write_memory(0x1000, std::array<std::uint8_t, 2>{0xab, 0x0c}),
                                gdb::write_registers(*registers), gdb::kDetach}));
  for (const char *what : {"memory", "registers", "detaching"}) {
    ASSERT_TRUE(talk.remote.expect_ok(what, soon()));
  }
  const auto sent = talk.stub.packets();
  ASSERT_EQ(sent.size(), 9U);
  EXPECT_EQ(sent[1], "Z1,ffffffff81000000,1");
  EXPECT_EQ(sent[3], "Hg02");
  EXPECT_EQ(sent[6], "M1000,2:ab0c");
  EXPECT_EQ(sent[7].size(), 1 + 140 * 2U) << "segments stay as they are";
  EXPECT_EQ(sent[7].substr(1 + 128 * 2, 8), "22110000");
  EXPECT_EQ(sent[8], "D;1");
  EXPECT_TRUE(talk.stub.running);
  EXPECT_EQ(talk.stub.stray_acks, 0);
}

TEST(GdbRemote, ADamagedAnswerIsNone) {
  Talk talk(Fault::BadChecksum);
  EXPECT_FALSE(talk.remote.expect_ok("a breakpoint", soon()));
}

TEST(GdbRemote, WhatTheGuestPrintsIsNoAnswer) {
  Talk talk(Fault::Chatter);
  EXPECT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
}

TEST(GdbRemote, EveryWaitEnds) {
  Talk talk(Fault::Silent);
  const auto done = talk.remote.expect_ok("a breakpoint", soon(50ms));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::Timeout);
}

TEST(GdbRemote, AnAnswerThatDoesNotEndIsCut) {
  Talk talk(Fault::Endless);
  const auto done = talk.remote.expect_ok("a breakpoint", soon());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::LimitReached);
}

TEST(GdbRemote, RegistersThatAreNoneAreRefused) {
  Talk talk(Fault::Garbage);
  ASSERT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
  ASSERT_TRUE(talk.remote.wait_for_stop(soon()));
  ASSERT_TRUE(talk.remote.send({gdb::kRegisters}));
  EXPECT_FALSE(talk.remote.registers(soon()));
}

TEST(GdbRemote, AnErrorIsToldWithWhatWasAsked) {
  Talk talk(Fault::RefuseWrite);
  ASSERT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
  ASSERT_TRUE(talk.remote.wait_for_stop(soon()));
  ASSERT_TRUE(talk.remote.send({gdb::write_memory(0x10, std::array<std::uint8_t, 1>{1})}));
  const auto done = talk.remote.expect_ok("writing", soon());
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, testing::AllOf(HasSubstr("E14"), HasSubstr("writing")));
}

TEST(GdbRemote, AnInterruptStopsAVmThatNobodyHits) {
  Talk talk(Fault::NeverHit);
  ASSERT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
  const auto missed = talk.remote.wait_for_stop(soon(20ms));
  ASSERT_FALSE(missed);
  EXPECT_EQ(missed.error().code, ErrorCode::Timeout);
  const auto stop = talk.remote.interrupt(soon());
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->signal, 2U);
  ASSERT_TRUE(talk.remote.send({gdb::kDetach}));
  EXPECT_TRUE(talk.remote.expect_ok("detaching", soon()));
  EXPECT_TRUE(talk.stub.running);
}

TEST(GdbRemote, AHitInTheMomentOfTheInterruptIsTheAnswer) {
  Talk talk(Fault::LateHit);
  ASSERT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
  const auto stop = talk.remote.interrupt(soon());
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->signal, 5U);
}

TEST(GdbRemote, ALostConnectionIsToldSo) {
  Talk talk(Fault::CloseAtHit);
  ASSERT_TRUE(talk.remote.expect_ok("a breakpoint", soon()));
  const auto stop = talk.remote.wait_for_stop(soon());
  ASSERT_FALSE(stop);
  EXPECT_EQ(stop.error().code, ErrorCode::Unreachable);
}

TEST(ParseStopReply, TakesWhatQemuSaysAndNothingElse) {
  EXPECT_EQ(parse_stop_reply("S05")->signal, 5U);
  EXPECT_EQ(parse_stop_reply("T02thread:p01.0a;")->thread, "p01.0a");
  EXPECT_EQ(parse_stop_reply("T05watch:ff;thread:3;")->thread, "3");
  for (const char *odd : {"", "T", "T0", "Tzz", "OK", "T05thread:;", "T05thread:1\n2;",
                          "T05thread:0123456789012345678901234;"}) {
    EXPECT_FALSE(parse_stop_reply(odd)) << odd;
  }
}

} // namespace
} // namespace outguard::hypervisor
