#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/answers.h"
#include "api/client.h"
#include "api/local_socket.h"
#include "api/server.h"
#include "api/status_json.h"

namespace outguard::api {
namespace {

using std::chrono::milliseconds;

class ServerTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "apiXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Server> start(ServerLimits limits = {}) {
    auto server = Server::start(
        folder_,
        [this](const Request &request, const Peer &peer, const std::stop_token &gone) {
          return answer_as(request, peer, gone);
        },
        limits);
    EXPECT_TRUE(server) << server.error().message;
    return server ? std::move(*server) : nullptr;
  }
  /// AcceptLosses: 4 MB. ShowAction: waits until its client is gone or slow_ is over.
  std::string answer_as(const Request &request, const Peer &peer, const std::stop_token &gone) {
    if (std::holds_alternative<StatusAsked>(request)) {
      SupervisorStatus status;
      status.pid = ::getpid();
      return answer_line(status);
    }
    if (std::holds_alternative<AcceptLosses>(request)) {
      std::string huge;
      huge.resize(4'000'000, 'x');
      return huge;
    }
    ++begun_;
    while (!gone.stop_requested() && slow_) {
      ::usleep(1000);
    }
    ++(gone.stop_requested() ? given_up_ : finished_);
    return refusal_line({ErrorCode::NotFound, fmt::format("uid {} pid {}", peer.uid, peer.pid)});
  }
  static std::vector<Fd> ask_slowly(const Server &server, std::size_t count) {
    const auto line = request_line(ShowAction{"a-1", {}}) + '\n';
    std::vector<Fd> sockets;
    sockets.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto socket = connect_local(server.path());
      EXPECT_TRUE(socket);
      EXPECT_EQ(::send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(line.size()));
      sockets.push_back(std::move(*socket));
    }
    return sockets;
  }
  static void wait_for(const std::atomic<int> &count, int value) {
    for (int i = 0; i < 20'000 && count != value; ++i) {
      ::usleep(1000);
    }
    EXPECT_EQ(count, value);
  }
  std::atomic<bool> slow_ = true;
  std::atomic<int> begun_ = 0, given_up_ = 0, finished_ = 0;

  /// What comes back for these very bytes; nullopt: it was closed without an answer.
  static std::optional<std::string> answer(const Server &server, const std::string &bytes) {
    const auto socket = connect_local(server.path());
    EXPECT_TRUE(socket);
    EXPECT_EQ(::send(socket->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    ::shutdown(socket->get(), SHUT_WR);
    std::string text(1 << 16, '\0');
    pollfd waits{socket->get(), POLLIN, 0};
    EXPECT_EQ(::poll(&waits, 1, 20'000), 1);
    const auto got = ::recv(socket->get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return got > 0 ? std::optional(text) : std::nullopt;
  }
  static bool answers(const Server &server) {
    const auto line = ask(server.path(), request_line(StatusAsked()), std::chrono::seconds(20));
    return line && parse_status(*line) && parse_status(*line)->pid == ::getpid();
  }

  std::string folder_;
};

TEST_F(ServerTest, AnswersAndIsFound) {
  const auto server = start();
  EXPECT_TRUE(answers(*server));
  const auto found = find_supervisors(folder_);
  ASSERT_EQ(found.running.size(), 1U);
  EXPECT_EQ(found.running[0].pid, ::getpid());
  EXPECT_TRUE(found.problems.empty());
  struct stat about {};
  ASSERT_EQ(::stat(server->path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(ServerTest, LeavesNothingBehind) {
  start().reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_TRUE(find_supervisors(folder_).running.empty());
}

TEST_F(ServerTest, RemovesWhatAKilledOneLeft) {
  const auto abandoned = folder_ + "/1.sock";
  const auto address = address_of(abandoned);
  {
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address),
              0);
  }
  std::ofstream(folder_ + "/note") << "stays";
  const auto server = start();
  EXPECT_FALSE(std::filesystem::exists(abandoned));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/note"));
}

TEST_F(ServerTest, AFolderThatOthersMayWriteToIsRefused) {
  ::chmod(folder_.c_str(), 0777);
  const auto refused = Server::start(folder_, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Refused);
  const auto too_long = Server::start(folder_ + "/" + std::string(120, 'x'), nullptr);
  EXPECT_FALSE(too_long);
}

TEST_F(ServerTest, WhatIsMalformedIsAnswered) {
  const auto server = start();
  EXPECT_EQ(answer(*server, "what\n"),
            refusal_line({ErrorCode::InvalidInput, "a request is one JSON object on one line"}) +
                "\n");
  EXPECT_EQ(answer(*server, "{\"verb\":\"kill\"}\n"),
            refusal_line({ErrorCode::InvalidInput, "no such verb: kill"}) + "\n");
  EXPECT_EQ(answer(*server, std::string(20'000, 'x')),
            refusal_line({ErrorCode::InvalidInput, "a request has at most 16384 bytes"}) + "\n");
  EXPECT_EQ(answer(*server, "{\"verb\":\"status\"}"), std::nullopt); // cut short
  EXPECT_EQ(answer(*server, ""), std::nullopt);
  // One request a connection: what stands behind it is not looked at.
  EXPECT_TRUE(answer(*server, "{\"verb\":\"status\"}\n{\"verb\":\"status\"}\n")
                  ->starts_with("{\"ok\":true"));
  EXPECT_TRUE(answers(*server));
}

TEST_F(ServerTest, SlowClientsHoldNobodyUp) {
  ServerLimits limits;
  limits.clients = 4;
  limits.request = limits.answer = milliseconds(200);
  const auto server = start(limits);
  std::vector<Fd> silent;
  for (int i = 0; i < 40; ++i) { // more than there are places, and more than wait in the queue
    if (auto one = connect_local(server->path())) {
      silent.push_back(std::move(*one));
    }
  }
  EXPECT_TRUE(answers(*server));                     // once the places are free again
  const auto reader = connect_local(server->path()); // wants much and takes nothing
  const std::string request = "{\"verb\":\"accept\"}\n";
  ASSERT_EQ(::send(reader->get(), request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  const auto dripping = connect_local(server->path()); // a byte now and then
  for (int i = 0; i < 40; ++i) {
    if (::send(dripping->get(), " ", 1, MSG_NOSIGNAL) != 1) {
      break;
    }
    ::usleep(20'000);
  }
  EXPECT_NE(::send(dripping->get(), " ", 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(answers(*server));
}

TEST_F(ServerTest, EndsWhateverClientsDo) {
  auto server = start();
  const auto silent = connect_local(server->path());
  const auto before = monotonic_now();
  server.reset();
  EXPECT_LT(monotonic_now() - before, std::chrono::seconds(2)); // no client's deadline is awaited
}

TEST_F(ServerTest, WhoWaitsForAGuestHoldsNobodyUp) {
  const auto server = start();
  const auto waiting = ask_slowly(*server, 5);
  wait_for(begun_, 5);
  EXPECT_TRUE(answers(*server));
  slow_ = false;
  for (const auto &socket : waiting) { // each has its own answer, and knows who asked
    char text[256] = {};
    pollfd waits{socket.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&waits, 1, 20'000), 1);
    ASSERT_GT(::recv(socket.get(), text, sizeof text - 1, 0), 0);
    EXPECT_EQ(refusal_in(std::string(text, std::strlen(text) - 1))->message,
              fmt::format("uid {} pid {}", ::geteuid(), ::getpid()));
  }
  EXPECT_EQ(given_up_, 0);
}

TEST_F(ServerTest, ClientsThatLeaveAreNotWorkedForAnyLonger) {
  const auto server = start();
  for (int round = 1; round <= 3; ++round) {
    auto waiting = ask_slowly(*server, 10);
    wait_for(begun_, round * 10);
    waiting.clear();
    wait_for(given_up_, round * 10);
  }
  EXPECT_TRUE(answers(*server));
}

TEST_F(ServerTest, NoMoreAreWorkedForThanAreAllowed) {
  ServerLimits limits;
  limits.workers = 3;
  const auto server = start(limits);
  const auto waiting = ask_slowly(*server, 3);
  wait_for(begun_, 3);
  const auto refused = ask(server->path(), request_line(ShowAction{"a-1", {}}));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refusal_in(*refused)->code, ErrorCode::LimitReached);
  EXPECT_EQ(begun_, 3);
  EXPECT_TRUE(answers(*server));
}

TEST_F(ServerTest, EndsWhileItWorks) {
  auto server = start();
  const auto waiting = ask_slowly(*server, 2);
  wait_for(begun_, 2);
  server.reset();
  EXPECT_EQ(given_up_, 2);
}

TEST_F(ServerTest, OtherUsersAreTurnedAway) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can become somebody else";
  }
  const auto server = start();
  ::chmod(folder_.c_str(), 0711);
  ::chmod(server->path().c_str(), 0666); // the file's mode is not what keeps them out
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other = ::setuid(65'534) == 0;
    const auto line = ask(server->path(), R"({"verb":"status"})", std::chrono::seconds(20));
    ::_exit(!other || line ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(answers(*server));
}

TEST_F(ServerTest, WhoAsksASilentOneWaitsNotForEver) {
  const Fd silent(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto path = folder_ + "/2.sock";
  const auto address = address_of(path);
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address),
            0);
  ASSERT_EQ(::listen(silent.get(), 4), 0);
  const auto line = ask(path, "{}", milliseconds(50));
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, ErrorCode::Timeout);
  EXPECT_EQ(ask(folder_ + "/none.sock", "{}").error().code, ErrorCode::NotFound);
}

} // namespace
} // namespace outguard::api
