#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "hypervisor/fake_qemu.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/vm_control.h"

namespace outguard::hypervisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Fault = FakeQemu::Fault;
using namespace std::chrono_literals;

constexpr auto kShort = 150ms;

std::string running(const std::string &command) {
  return command == "query-status" ? R"({"running": true, "status": "running"})" : "{}";
}

/// The error of a command against a QEMU with a fault, and that it came in time.
Error error_with(Fault fault) {
  FakeQemu qemu(fault);
  auto client = QmpClient::connect(qemu.path(), 0, 1s);
  EXPECT_TRUE(client) << client.error().message;
  const auto start = monotonic_now();
  const auto reply = client->execute("query-status", "{}", kShort);
  EXPECT_FALSE(reply);
  EXPECT_LT(monotonic_now() - start, 5s);
  return reply ? Error{} : reply.error();
}

TEST(QmpClient, SkipsEventsAndAnswersOfOtherCommands) {
  FakeQemu qemu(Fault::None, running);
  auto client = QmpClient::connect(qemu.path(), ::getpid());
  ASSERT_TRUE(client) << client.error().message;
  EXPECT_EQ(client->peer_pid(), ::getpid());
  const auto state = client->status();
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_TRUE(state->running);
  EXPECT_EQ(state->status, "running");
  EXPECT_TRUE(client->stop());
  EXPECT_THAT(qemu.commands(), ElementsAre("query-status", "stop"));
}

TEST(QmpClient, ReadsAnswersOverSeveralLines) {
  FakeQemu qemu(Fault::Pretty, running);
  auto client = QmpClient::connect(qemu.path());
  ASSERT_TRUE(client);
  EXPECT_TRUE(client->status()->running);
}

TEST(QmpClient, HumanMonitorGivesText) {
  FakeQemu qemu(Fault::None, [](const std::string &) { return R"("a \"b\" {\r\n")"; });
  auto client = QmpClient::connect(qemu.path());
  ASSERT_TRUE(client);
  EXPECT_EQ(client->human("info version"), "a \"b\" {\r\n");
  EXPECT_FALSE(client->status()) << "text is no run state";
}

TEST(QmpClient, SaysBusyWhenNoGreetingComes) {
  FakeQemu qemu(Fault::NoGreeting);
  const auto client = QmpClient::connect(qemu.path(), 0, kShort);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ErrorCode::Unreachable);
  EXPECT_THAT(client.error().message, HasSubstr("another client is connected"));
}

TEST(QmpClient, RefusesAnotherProcessBeforeSpeaking) {
  FakeQemu qemu;
  const auto client = QmpClient::connect(qemu.path(), 1);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ErrorCode::Refused);
  EXPECT_THAT(qemu.commands(), IsEmpty());
}

TEST(QmpClient, RefusesAnotherProtocol) {
  FakeQemu qemu(Fault::NotQmp);
  EXPECT_EQ(QmpClient::connect(qemu.path()).error().code, ErrorCode::InvalidInput);
}

TEST(QmpClient, FailsInTimeAndByNameOnEveryFault) {
  EXPECT_EQ(error_with(Fault::Silent).code, ErrorCode::Timeout);
  EXPECT_EQ(error_with(Fault::Dribble).code, ErrorCode::Timeout);
  EXPECT_EQ(error_with(Fault::Garbage).code, ErrorCode::InvalidInput);
  EXPECT_EQ(error_with(Fault::CloseMidWay).code, ErrorCode::Unreachable);
  const auto huge = error_with(Fault::HugeReply).code;
  EXPECT_TRUE(huge == ErrorCode::LimitReached || huge == ErrorCode::Timeout);
}

TEST(QmpClient, QemusErrorsArePassedOnWithoutControlCharacters) {
  const auto error = error_with(Fault::ErrorReply);
  EXPECT_EQ(error.code, ErrorCode::Unsupported);
  EXPECT_THAT(error.message, HasSubstr("no \\x1b[31mred"));
}

TEST(QmpClient, NobodyThere) {
  EXPECT_EQ(QmpClient::connect("/nonexistent/q").error().code, ErrorCode::NotFound);
}

TEST(QmpClient, PathsInErrorsAreEscaped) {
  const auto message_of = [](const std::string &path, pid_t pid = 0) {
    return QmpClient::connect(path, pid, kShort).error().message;
  };
  FakeQemu qemu(Fault::None, running, "q\x1b[31m");
  for (const auto &message :
       {message_of("/nonexistent/\x1b[31m"), message_of("/" + std::string(200, 'n') + "/\x1b[31m"),
        message_of(std::string(200, 'n') + "\x1b[31m"), message_of(qemu.path(), ::getpid() + 1)}) {
    EXPECT_THAT(message, testing::HasSubstr("\\x1b[31m"));
    EXPECT_THAT(message, testing::Not(testing::HasSubstr("\x1b")));
  }
}

TEST(QmpClient, ReachesPathsLongerThanASocketAddress) {
  FakeQemu qemu(Fault::None, running, std::string(200, 'n'));
  ASSERT_GT(qemu.path().size(), 108U);
  auto client = QmpClient::connect(qemu.path());
  ASSERT_TRUE(client) << client.error().message;
  EXPECT_TRUE(client->status()->running);
}

TEST(QmpClient, RefusesArgumentsThatAreNoObject) {
  FakeQemu qemu;
  auto client = QmpClient::connect(qemu.path());
  ASSERT_TRUE(client);
  EXPECT_EQ(client->execute("x", "{", kShort).error().code, ErrorCode::InvalidInput);
  EXPECT_THAT(qemu.commands(), IsEmpty());
}

/// Control over a fake QEMU with no memory.
class ControlOf : public VmControl {
public:
  explicit ControlOf(QmpClient client) : client_(std::move(client)) {}
  Result<RunState> status() override { return client_.status(kShort); }
  Result<void> pause() override { return client_.stop(kShort); }
  Result<void> resume() override { return client_.cont(kShort); }
  Result<void> read(std::uint64_t, std::span<std::uint8_t>) override { return {}; }
  Result<void> write(std::uint64_t, std::span<const std::uint8_t>) override { return {}; }

private:
  QmpClient client_;
};

TEST(PausedVm, ResumesOnceHoweverItEnds) {
  FakeQemu qemu(Fault::None, running);
  ControlOf control(*QmpClient::connect(qemu.path()));
  {
    auto paused = PausedVm::pause(control);
    ASSERT_TRUE(paused);
    EXPECT_TRUE(paused->resume());
    EXPECT_FALSE(paused->resume());
  }
  { auto left_to_the_destructor = PausedVm::pause(control); }
  EXPECT_THAT(qemu.commands(),
              ElementsAre("query-status", "stop", "cont", "query-status", "stop", "cont"));
}

TEST(PausedVm, LeavesAnAdministratorsPauseAlone) {
  FakeQemu qemu(Fault::None,
                [](const std::string &) { return R"({"running": false, "status": "paused"})"; });
  ControlOf control(*QmpClient::connect(qemu.path()));
  const auto paused = PausedVm::pause(control);
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().code, ErrorCode::Refused);
  EXPECT_THAT(qemu.commands(), ElementsAre("query-status"));
}

TEST(PausedVm, ResumesAVmThatDidNotConfirmThePause) {
  FakeQemu qemu(Fault::None, [](const std::string &command) {
    if (command == "stop") {
      std::this_thread::sleep_for(2 * kShort);
    }
    return running(command);
  });
  ControlOf control(*QmpClient::connect(qemu.path()));
  EXPECT_EQ(PausedVm::pause(control).error().code, ErrorCode::Timeout);
  EXPECT_THAT(qemu.commands(), testing::Contains("cont"));
}

} // namespace
} // namespace outguard::hypervisor
