// The desk is killed at random points, over and over, with the same journal: what was acknowledged
// is done, once, and nothing is done that nobody asked for.
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/sanitized.h"
#include "daemon/action_desk.h"
#include "daemon/action_rules.h"
#include "daemon/fake_action_hands.h"

namespace outguard::daemon {
namespace {

using namespace std::chrono_literals;

constexpr int kCrashes = kSanitized ? 60 : 300; // a start under a sanitizer is slow
constexpr const char *kVm = "11111111-2222-3333-4444-555555555555";

ActionWanted made_wanted(std::int32_t number) {
  ActionWanted wanted;
  wanted.vm = kVm;
  wanted.actor = "uid 0 (root)";
  wanted.process = ProcessIdentity{number, 1000, 0xffff};
  switch (number % 3) {
  case 0:
    wanted.action = ResponseAction::Kill;
    break;
  case 1:
    wanted.action = ResponseAction::Suspend;
    wanted.ttl = 3600s;
    break;
  default:
    wanted.process.reset();
    wanted.action = ResponseAction::BlockRemote;
    wanted.ttl = 3600s;
    wanted.rule = RemoteRule{*IpNetwork::parse(
        fmt::format("10.{}.{}.{}", number >> 16, (number >> 8) & 0xFF, number & 0xFF))};
  }
  return wanted;
}

std::unique_ptr<ActionDesk> open_desk(const std::string &folder) {
  auto hands = std::make_shared<FolderHands>(folder + "/world");
  auto desk = ActionDesk::open(folder, [hands](const std::string &) { return hands; });
  return desk ? std::move(*desk) : nullptr;
}

/// What the child was told, each in one write, which a kill does not tear.
void acknowledge(int file, std::string line) {
  line += '\n';
  if (::write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    ::_exit(3);
  }
}

[[noreturn]] void act_until_killed(const std::string &folder, std::int32_t first, int ready) {
  const auto desk = open_desk(folder);
  const int told = ::open((folder + "/told").c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (!desk || told < 0) {
    ::_exit(2);
  }
  if (::write(ready, "", 1) != 1) {
    ::_exit(4);
  }
  desk->take_vm(kVm);
  for (auto number = first;; ++number) {
    const auto asked = desk->ask(made_wanted(number), ApprovalRule::Auto, false);
    if (!asked || asked->state == ActionState::Refused) {
      std::this_thread::sleep_for(1ms);
      continue;
    }
    acknowledge(told, "done " + asked->id);
    if (number % 2 == 0 && number % 3 != 0) {
      static_cast<void>(desk->wait(asked->id, 10s));
      if (desk->undo(asked->id, "uid 0 (root)")) {
        acknowledge(told, "undone " + asked->id);
      }
    }
  }
}

TEST(ActionCrash, NothingIsLostOrphanedOrDoneTwice) {
  const bool fast = ::access("/dev/shm", W_OK) == 0; // many syncs
  std::string folder = (fast ? "/dev/shm" : testing::TempDir()) + "/crash-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ASSERT_TRUE(std::filesystem::create_directory(folder + "/world"));
  const char *more = ::getenv("OUTGUARD_CRASHES"); // the bench asks for 1,000
  const int crashes = more != nullptr ? std::atoi(more) : kCrashes;
  useconds_t span = 5'000; // of a child's life, as long as this machine needs for some actions
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same points each time, as far as that goes
  for (int i = 0; i < crashes; ++i) {
    std::array<int, 2> ready{};
    ASSERT_EQ(::pipe(ready.data()), 0);
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      act_until_killed(folder, 1 + i * 1000, ready[1]);
    }
    ::close(ready[1]);
    if (i % 4 != 0) { // else also while it starts
      pollfd waiting{ready[0], POLLIN, 0};
      ASSERT_EQ(::poll(&waiting, 1, 60'000), 1) << "a child that never came to act";
    }
    ::close(ready[0]);
    ::usleep(static_cast<useconds_t>(random()) % span);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << WEXITSTATUS(status);
    constexpr std::size_t kLineBytes = 20; // of what was acknowledged, about
    std::error_code not_yet;
    const auto told_bytes = std::filesystem::file_size(folder + "/told", not_yet);
    if (not_yet || told_bytes / kLineBytes < 2 * static_cast<std::size_t>(i + 1)) {
      span = std::min<useconds_t>(span * 5 / 4, 100'000);
    }
  }

  const auto before = monotonic_now();
  const auto desk = open_desk(folder);
  ASSERT_NE(desk, nullptr);
  desk->take_vm(kVm);
  const auto ready = monotonic_now() - before;
  std::set<std::string> expected;
  FolderHands world(folder + "/world");
  for (const auto &record : desk->list()) {
    const auto now = desk->wait(record.id, 20s);
    ASSERT_TRUE(now);
    ASSERT_FALSE(is_moving(now->state)) << record.id;
    if (now->state == ActionState::Done) {
      expected.insert(world.path(now->wanted));
    }
  }
  std::size_t told_done = 0;
  std::size_t told_undone = 0;
  std::ifstream told(folder + "/told");
  for (std::string what, id; told >> what >> id;) {
    const auto record = desk->find(id);
    ASSERT_TRUE(record) << "lost: " << what << " " << id;
    if (what == "undone") {
      ++told_undone;
      EXPECT_EQ(record->state, ActionState::Undone) << id << " " << record->reason;
    } else {
      ++told_done;
      EXPECT_TRUE(record->state == ActionState::Done || record->state == ActionState::Undone)
          << id << " " << to_string(record->state) << " " << record->reason;
    }
  }
  std::set<std::string> found;
  for (const auto &entry : std::filesystem::directory_iterator(folder + "/world")) {
    found.insert(entry.path().string());
  }
  EXPECT_EQ(found, expected); // lost, orphaned, or (".twice") done twice
  EXPECT_GT(told_done, static_cast<std::size_t>(crashes));
  EXPECT_GT(told_undone, 0U);
  std::printf(
      "%d kills, %zu actions and %zu undone acknowledged, %zu in the journal; open %.1f ms\n",
      crashes, told_done, told_undone, desk->list().size(),
      std::chrono::duration<double, std::milli>(ready).count());
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

} // namespace
} // namespace outguard::daemon
