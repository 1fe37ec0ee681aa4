#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "daemon/action_book.h"
#include "store/faulty_file_calls.h"
#include "store/journal_check.h"

namespace outguard::daemon {
namespace {

ActionRecord isolation(unsigned number, const char *allowed, std::int64_t changed_ns) {
  ActionRecord record;
  record.id = "a-00000000000" + std::to_string(number);
  record.wanted.action = ResponseAction::Isolate;
  record.wanted.vm = "11111111-2222-3333-4444-555555555555";
  record.wanted.rule = IsolationRule{{*IpNetwork::parse(allowed)}};
  record.wanted.ttl = std::chrono::hours(1);
  record.wanted.actor = "uid 0 (root)";
  record.plan_hash = std::string(64, 'a');
  record.state = ActionState::Done;
  record.status = ResponseStatus::Blocked;
  record.asked_ns = record.changed_ns = changed_ns;
  record.expires_ns = changed_ns + std::chrono::nanoseconds(std::chrono::hours(1)).count();
  return record;
}

std::string state_of(ActionBook &book, const std::string &id) {
  const auto *entry = book.find(id);
  return entry == nullptr ? "none" : to_string(entry->record.state);
}

/// A kill between "B holds" and "so A is over" left both in force: whichever was looked at first
/// then took the other's place.
TEST(ActionBook, OfIsolationsThatACrashLeftBothInForceTheLatestIs) {
  std::string folder = testing::TempDir() + "/book-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto now = wall_now().time_since_epoch().count();
  {
    const auto opened = store::ActionJournal::open(folder);
    ASSERT_TRUE(opened);
    auto elsewhere = isolation(4, "10.0.0.4", now - 9);
    elsewhere.wanted.vm = "another";
    auto dry = isolation(5, "10.0.0.5", now);
    dry.status = ResponseStatus::DryRun;
    const store::JournalStep steps[] = {{isolation(1, "10.0.0.1", now - 5), "desk"},
                                        {isolation(2, "10.0.0.2", now - 1), "desk"},
                                        {isolation(3, "10.0.0.3", now - 3), "desk"},
                                        {elsewhere, "desk"},
                                        {dry, "desk"}};
    ASSERT_TRUE(opened->journal->append(steps));
  }
  for (int start = 0; start < 2; ++start) { // what was put right is kept
    auto book = ActionBook::open(folder, {}, {}, nullptr);
    ASSERT_TRUE(book);
    EXPECT_EQ(state_of(*book, "a-000000000001"), "expired");
    EXPECT_EQ(state_of(*book, "a-000000000002"), "done");
    EXPECT_EQ(state_of(*book, "a-000000000003"), "expired");
    EXPECT_EQ(state_of(*book, "a-000000000004"), "done");
    EXPECT_EQ(state_of(*book, "a-000000000005"), "done");
    EXPECT_EQ(book->find("a-000000000001")->record.reason.substr(0, 17), "in place of it: a");
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

class AllowTest : public testing::Test {
protected:
  std::string folder_ = testing::TempDir() + "/allow-XXXXXX";
  std::shared_ptr<store::FaultyFileCalls> calls_ = std::make_shared<store::FaultyFileCalls>();

  void SetUp() override {
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    restart();
  }
  void TearDown() override {
    book_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  /// The one before is let go of first: a journal has one writer.
  void restart(std::size_t most_bytes = store::JournalLimits().most_bytes,
               const ActionLimits &limits = {}) {
    book_.reset();
    auto opened = ActionBook::open(folder_, limits, {most_bytes, 16}, calls_);
    ASSERT_TRUE(opened) << opened.error().message;
    book_.emplace(std::move(*opened));
  }
  ActionBook &book() { return *book_; }
  static Protection entry(const std::string &what) {
    auto entry = *parse_protection(what);
    entry.actor = "uid 0 (root)";
    entry.why = "ours";
    entry.added_ns = wall_now().time_since_epoch().count();
    return entry;
  }

private:
  std::optional<ActionBook> book_;
};

TEST_F(AllowTest, IsKeptInTheJournalOverRestarts) {
  const auto added = book().allow(entry("198.51.100.0/24"));
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ(added->id.substr(0, 2), "p-");
  const auto other = book().allow(entry("/srv/db"));
  ASSERT_TRUE(other);
  restart();
  ASSERT_EQ(book().protections()->all().size(), 2U);
  const auto removed = book().disallow(added->id, "uid 7");
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->removed);
  EXPECT_EQ(removed->actor, "uid 0 (root)") << "who added it";
  EXPECT_EQ(book().disallow(added->id, "uid 7").error().code, ErrorCode::NotFound);
  restart();
  EXPECT_EQ(book().protections()->all(), std::vector{*other});
  std::ifstream file(folder_ + "/actions.jsonl");
  const std::string lines(std::istreambuf_iterator<char>(file), {});
  EXPECT_NE(lines.find(R"("step":"added")"), lines.npos);
  EXPECT_NE(lines.find(R"("step":"removed","open":false)"), lines.npos);
  EXPECT_NE(lines.find(R"("actor":"uid 7")"), lines.npos);
}

TEST_F(AllowTest, GoesOnInANewFile) {
  const auto now = wall_now().time_since_epoch().count();
  std::vector<ActionChange> change(1);
  change[0].record = isolation(1, "10.0.0.1", now);
  change[0].steps = {{ActionState::Asked, "desk"}, {ActionState::Done, "desk"}};
  const auto entered = book().enter(change);
  ASSERT_TRUE(entered);
  const auto id = entered->front()->record.id;
  ASSERT_TRUE(book().allow(entry("198.51.100.0/24")));
  ASSERT_TRUE(book().disallow(book().allow(entry("/srv/db"))->id, "uid 0 (root)"));
  restart(1); // every change begins a new file
  ASSERT_TRUE(book().allow(entry("postgres")));
  restart();
  const auto all = book().protections()->all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(state_of(book(), id), "done");
  EXPECT_GT(store::journal_files(folder_).size(), 1U);
  ASSERT_TRUE(store::check_journal_folder(folder_));
}

TEST_F(AllowTest, WhatTheJournalCannotKeepIsNotInForce) {
  const auto kept = book().allow(entry("198.51.100.1"));
  ASSERT_TRUE(kept);
  calls_->fail_at(1, {ENOSPC}, true);
  EXPECT_FALSE(book().allow(entry("198.51.100.2")));
  EXPECT_FALSE(book().disallow(kept->id, "uid 0 (root)"));
  EXPECT_EQ(book().protections()->all(), std::vector{*kept});
  calls_->heal();
  restart();
  EXPECT_EQ(book().protections()->all(), std::vector{*kept});
}

TEST_F(AllowTest, ItsTimeGoesOnOverARestart) {
  auto brief = entry("198.51.100.1");
  brief.expires_ns = brief.added_ns + 1;
  ASSERT_TRUE(book().allow(brief));
  auto longer = entry("198.51.100.2");
  longer.expires_ns = longer.added_ns + std::chrono::nanoseconds(std::chrono::hours(1)).count();
  ASSERT_TRUE(book().allow(longer));
  restart();
  const auto all = book().protections()->all();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front().expires_ns, longer.expires_ns);
}

TEST_F(AllowTest, WhereNoNewFileCanBeBegunTheOldOneGoesOn) {
  ASSERT_TRUE(book().allow(entry("198.51.100.1")));
  restart(1);
  // Of the next change the journal needs a write and a sync; what follows is the new file.
  calls_->fail_at(3, {ENOSPC}, true);
  const auto kept = book().allow(entry("198.51.100.2"));
  EXPECT_TRUE(kept);
  calls_->heal();
  EXPECT_EQ(store::journal_files(folder_).size(), 1U);
  restart();
  EXPECT_EQ(book().protections()->all().size(), 2U);
}

TEST_F(AllowTest, OfWhatIsOverABookThatIsFullForgetsTheOldestAtItsStart) {
  std::vector<std::string> ids;
  for (unsigned i = 0; i < 12; ++i) {
    std::vector<ActionChange> change(1);
    change[0].record = isolation(1, "10.0.0.1", wall_now().time_since_epoch().count());
    change[0].steps = {{ActionState::Refused, "desk"}};
    ids.push_back(book().enter(change)->front()->record.id);
  }
  ActionLimits limits;
  limits.most_records = 10;
  restart(store::JournalLimits().most_bytes, limits);
  EXPECT_EQ(state_of(book(), ids.front()), "none");
  EXPECT_EQ(state_of(book(), ids.back()), "refused");
  EXPECT_LT(book().list().size(), 10U);
}

TEST_F(AllowTest, HasAnEnd) {
  for (std::size_t i = 0; i < kMostProtections; ++i) {
    ASSERT_TRUE(book().allow(entry("10.0.0." + std::to_string(i))));
  }
  const auto refused = book().allow(entry("10.0.1.0"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::LimitReached);
}

} // namespace
} // namespace outguard::daemon
