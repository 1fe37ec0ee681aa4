#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/action_journal.h"
#include "store/faulty_file_calls.h"
#include "store/journal_check.h"
#include "store/journal_test_records.h"

namespace outguard::store {
namespace {

class ActionJournalTest : public testing::Test {
protected:
  ActionJournalTest() {
    // In memory where there is such a place: thousands of syncs.
    const bool fast = ::access("/dev/shm", W_OK) == 0;
    std::string name = (fast ? "/dev/shm" : testing::TempDir()) + "/journal-XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~ActionJournalTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  [[nodiscard]] std::string file(const std::string &name = "actions.jsonl") const {
    return folder + "/" + name;
  }
  [[nodiscard]] std::string content(const std::string &name = "actions.jsonl") const {
    std::ifstream in(file(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string &text) const { std::ofstream(file()) << text; }

  std::string folder;
};

Result<void> append(ActionJournal &journal, unsigned number,
                    ActionState state = ActionState::Asked) {
  const JournalStep step{made_record(number, state), "uid 0 (root)"};
  return journal.append(std::span(&step, 1));
}

TEST_F(ActionJournalTest, KeepsWhatWasAppendedOverStarts) {
  for (unsigned i = 0; i < 5; ++i) {
    auto opened = ActionJournal::open(folder + "/new/folder");
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->told, "");
    ASSERT_EQ(opened->records.size(), i);
    ASSERT_TRUE(append(*opened->journal, i));
  }
  const auto path = folder + "/new/folder/actions.jsonl";
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  const auto checked = check_journal(path);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->lines, 6U);
}

TEST_F(ActionJournalTest, HasOneWriter) {
  const auto opened = ActionJournal::open(folder);
  ASSERT_TRUE(opened);
  const auto second = ActionJournal::open(folder);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::LimitReached);
}

TEST_F(ActionJournalTest, ATornLineIsSetAsideAndTold) {
  ASSERT_TRUE(append(*ActionJournal::open(folder)->journal, 1));
  const auto whole = content();
  write(whole + "{\"prev\":\"half");
  {
    const auto opened = ActionJournal::open(folder);
    ASSERT_TRUE(opened);
    EXPECT_NE(opened->told.find("piece of a line"), std::string::npos);
    EXPECT_EQ(opened->records.size(), 1U);
    EXPECT_EQ(content(), whole);
    EXPECT_EQ(content("actions.torn"), "{\"prev\":\"half");
    ASSERT_TRUE(append(*opened->journal, 2));
  }
  EXPECT_EQ(ActionJournal::open(folder)->records.size(), 2U);
}

TEST_F(ActionJournalTest, DamageIsAnErrorThatSaysWhereAndWhatToDo) {
  {
    const auto opened = ActionJournal::open(folder);
    ASSERT_TRUE(append(*opened->journal, 1));
    ASSERT_TRUE(append(*opened->journal, 2));
  }
  auto text = content();
  text[text.find("of a test")] = 'O';
  write(text);
  const auto damaged = ActionJournal::open(folder);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::InvalidInput);
  EXPECT_NE(damaged.error().message.find("line 3"), std::string::npos);
  EXPECT_NE(damaged.error().message.find("keep the file as evidence"), std::string::npos);
  EXPECT_EQ(content(), text);
  EXPECT_EQ(check_journal(file()).error().message, damaged.error().message);
  EXPECT_FALSE(check_journal(file("none")));
}

TEST_F(ActionJournalTest, TrustsNoFileThatOthersCouldHaveMade) {
  write("");
  ASSERT_EQ(::chmod(file().c_str(), 0620), 0);
  EXPECT_EQ(ActionJournal::open(folder).error().code, ErrorCode::Permission);
  ASSERT_EQ(::unlink(file().c_str()), 0);
  ASSERT_EQ(::symlink("/dev/null", file().c_str()), 0);
  EXPECT_FALSE(ActionJournal::open(folder));
  ASSERT_EQ(::unlink(file().c_str()), 0);
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  EXPECT_EQ(ActionJournal::open(folder).error().code, ErrorCode::InvalidInput);
  EXPECT_FALSE(ActionJournal::open(file("none") + "/\x01/" + std::string(NAME_MAX + 1, 'x')));
}

TEST_F(ActionJournalTest, ReadsNoMoreThanOursCanBe) {
  write("");
  ASSERT_EQ(::truncate(file().c_str(), (off_t{1} << 30U) + 1), 0);
  EXPECT_EQ(ActionJournal::open(folder).error().code, ErrorCode::LimitReached);
  EXPECT_EQ(check_journal(file()).error().code, ErrorCode::LimitReached);
  EXPECT_EQ(check_journal(folder).error().code, ErrorCode::InvalidInput);
}

TEST_F(ActionJournalTest, WhateverFailsATornLineIsTakenAwayOrStays) {
  ASSERT_TRUE(append(*ActionJournal::open(folder)->journal, 1));
  const auto torn = content() + "{\"prev\":\"half";
  for (const bool lasting : {false, true}) {
    auto calls = std::make_shared<FaultyFileCalls>();
    for (unsigned nth = 1; calls->calls() + 1 >= nth; ++nth) {
      write(torn);
      calls = std::make_shared<FaultyFileCalls>();
      calls->fail_at(nth, {EIO}, lasting);
      static_cast<void>(ActionJournal::open(folder, {}, calls));
      const auto again = ActionJournal::open(folder);
      ASSERT_TRUE(again) << nth;
      ASSERT_EQ(again->records.size(), 1U);
    }
  }
}

TEST_F(ActionJournalTest, SeveralStepsAreAllOrNone) {
  const auto opened = ActionJournal::open(folder);
  const auto before = content();
  std::array steps{JournalStep{made_record(1), "desk"}, JournalStep{made_record(2), "desk"}};
  steps[1].record.wanted.why = std::string(5000, 'x');
  EXPECT_FALSE(opened->journal->append(steps));
  EXPECT_EQ(content(), before);
  steps[1].record.wanted.why = "";
  EXPECT_TRUE(opened->journal->append(steps));
  EXPECT_EQ(read_journal(content())->records.size(), 2U);
}

TEST_F(ActionJournalTest, GoesOnInANewFileThatFollowsFromTheOld) {
  constexpr JournalLimits kSmall{4096, 2};
  auto opened = ActionJournal::open(folder, kSmall);
  std::vector<ActionRecord> records;
  unsigned anew = 0;
  for (unsigned i = 0; i < 60; ++i) {
    ASSERT_TRUE(append(*opened->journal, i));
    records.assign(1, made_record(i));
    if (opened->journal->is_large()) {
      const auto position = opened->journal->position();
      ASSERT_TRUE(opened->journal->start_anew(records));
      ++anew;
      EXPECT_FALSE(opened->journal->is_large());
      EXPECT_NE(content().find(position.last_hash), std::string::npos);
    }
  }
  EXPECT_GT(anew, 4U);
  unsigned old = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("actions-")) {
      ++old;
      EXPECT_TRUE(check_journal(entry.path().string()));
    }
  }
  EXPECT_EQ(old, 2U);
  const auto position = opened->journal->position();
  opened->journal.reset();
  opened = ActionJournal::open(folder, kSmall);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->journal->position(), position);
  EXPECT_GE(opened->records.size(), 1U);
  auto wrong = records;
  wrong[0].wanted.why = std::string(5000, 'x');
  EXPECT_FALSE(opened->journal->start_anew(wrong));
}

TEST_F(ActionJournalTest, WhatItCouldNotGiveBackIsNotTaken) {
  const auto opened = ActionJournal::open(folder);
  const auto before = content();
  auto wrong = parse_protection("10.0.0.0/8").value();
  wrong.id = "p-1";
  wrong.actor = "uid 0 (root)";
  wrong.why = std::string(5000, 'x');
  EXPECT_FALSE(opened->journal->append(wrong, "uid 0 (root)"));
  EXPECT_FALSE(opened->journal->start_anew({}, std::span(&wrong, 1)));
  EXPECT_EQ(content(), before);
  std::ofstream(file("actions-notes.txt")) << "somebody's"; // no file of ours
  EXPECT_EQ(journal_files(folder).size(), 1U);
  EXPECT_TRUE(journal_files(file("none")).size() == 1);
}

TEST_F(ActionJournalTest, AFileThatFollowsByItsHashAndNotByItsNumberIsTold) {
  auto opened = ActionJournal::open(folder);
  ASSERT_TRUE(append(*opened->journal, 1));
  auto position = opened->journal->position();
  opened->journal.reset();
  std::filesystem::rename(file(), file("actions-00000000000000000001.jsonl"));
  position.next_seq += 5;
  write(checkpoint_line(position, 0));
  EXPECT_NE(check_journal_folder(folder).error().message.find("does not go on where"),
            std::string::npos);
}

TEST_F(ActionJournalTest, WhatCannotBeReadIsNoJournal) {
  const auto read = check_journal("/proc/self/mem"); // a file whose first byte is an error
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("cannot read the journal"), std::string::npos);
}

TEST_F(ActionJournalTest, AnInterruptedCallIsMadeAgain) {
  struct sigaction handler {};
  struct sigaction before {};
  handler.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &handler, &before), 0);
  ASSERT_EQ(::mkfifo(file("pipe").c_str(), 0600), 0);
  std::thread other([&, waiting = ::pthread_self()] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ::pthread_kill(waiting, SIGUSR1);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const Fd writer(::open(file("pipe").c_str(), O_WRONLY | O_CLOEXEC));
  });
  FileCalls calls;
  const Fd reader(calls.open(file("pipe"), O_RDONLY | O_CLOEXEC, 0)); // waits for a writer
  EXPECT_TRUE(reader);
  other.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(ActionJournalTest, AfterADamagedFileWasPutAsideTheOldOnesStayAndTheGapIsTold) {
  const auto record = made_record(1);
  {
    const auto opened = ActionJournal::open(folder);
    ASSERT_TRUE(append(*opened->journal, 1));
    ASSERT_TRUE(opened->journal->start_anew(std::span(&record, 1)));
  }
  const auto old = file("actions-00000000000000000001.jsonl");
  const auto size = std::filesystem::file_size(old);
  std::filesystem::rename(file(), file("evidence")); // as the error says
  {
    const auto opened = ActionJournal::open(folder);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE(opened->records.empty());
    ASSERT_TRUE(append(*opened->journal, 2));
    ASSERT_TRUE(opened->journal->start_anew(std::span(&record, 1)));
    ASSERT_TRUE(append(*opened->journal, 3));
  }
  EXPECT_EQ(std::filesystem::file_size(old), size);
  EXPECT_EQ(journal_files(folder).size(), 3U);
  EXPECT_EQ(ActionJournal::open(folder)->records.size(), 2U);
  EXPECT_NE(check_journal_folder(folder).error().message.find("does not go on where"),
            std::string::npos);
  std::filesystem::remove(old); // of what is left each file goes on where the other ended
  EXPECT_EQ(check_journal_folder(folder)->size(), 2U);
}

TEST_F(ActionJournalTest, AllItsFilesAreCheckedTogether) {
  EXPECT_EQ(check_journal_folder(folder).error().code, ErrorCode::NotFound);
  auto opened = ActionJournal::open(folder);
  std::vector<std::string> hashes;
  for (unsigned i = 0; i < 3; ++i) {
    ASSERT_TRUE(append(*opened->journal, i));
    hashes.push_back(opened->journal->position().last_hash);
    const auto record = made_record(i);
    ASSERT_TRUE(opened->journal->start_anew(std::span(&record, 1)));
  }
  hashes.push_back(opened->journal->position().last_hash);
  auto checked = check_journal_folder(folder); // while it is open
  ASSERT_TRUE(checked) << checked.error().message;
  ASSERT_EQ(checked->size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ((*checked)[i].last_hash, hashes[i]);
    EXPECT_EQ((*checked)[i].torn_bytes, 0U);
  }
  EXPECT_EQ(checked->back().name, "actions.jsonl");
  EXPECT_EQ(checked->front().first_seq, 1U);
  EXPECT_EQ((*checked)[1].first_seq, checked->front().last_seq + 1);
  EXPECT_EQ(checked_row(checked->front())
                .find("{\"file\":\"actions-00000000000000000001.jsonl\","
                      "\"lines\":2,\"first_seq\":1,\"last_seq\":2,"
                      "\"torn_bytes\":0,\"last_hash\":\""),
            0U);
  // Linked, and not renamed before the supervisor ended: the same file twice.
  const auto second = file((*checked)[1].name);
  std::filesystem::create_hard_link(file(), file("actions-00000000000000009999.jsonl"));
  EXPECT_EQ(check_journal_folder(folder)->size(), 4U);
  std::filesystem::remove(file("actions-00000000000000009999.jsonl"));
  // A piece at the end is told, and no damage.
  std::ofstream(file(), std::ios::app) << "{\"prev";
  EXPECT_EQ(check_journal_folder(folder)->back().torn_bytes, 6U);
  // The oldest may have been forgotten; one in the middle may not be missing, nor be changed whole.
  std::filesystem::remove(file(checked->front().name));
  EXPECT_EQ(check_journal_folder(folder)->size(), 3U);
  std::filesystem::rename(file((*checked)[2].name), file("aside"));
  const auto missing = check_journal_folder(folder);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::InvalidInput);
  EXPECT_NE(missing.error().message.find("does not go on where"), std::string::npos);
  std::filesystem::rename(file("aside"), file((*checked)[2].name));
  std::fstream(second, std::ios::in | std::ios::out).seekp(100) << '~';
  EXPECT_NE(check_journal_folder(folder).error().message.find(second), std::string::npos);
}

TEST_F(ActionJournalTest, WhateverFailsNoStepThatWasKeptIsLostAndNoneThatWasNotStays) {
  // Every system call in turn, once and from then on, with each way to fail.
  for (const auto fault : {Fault{ENOSPC}, Fault{EIO}, Fault{ENOMEM}, Fault{0}}) {
    for (const bool lasting : {false, true}) {
      for (unsigned nth = 1;; ++nth) {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
        auto calls = std::make_shared<FaultyFileCalls>();
        calls->fail_at(nth, fault, lasting);
        std::vector<std::string> kept;
        const auto note = [&](unsigned number, const Result<void> &done) {
          if (done) {
            kept.push_back(made_record(number).id);
          }
        };
        if (auto opened = ActionJournal::open(folder, {2048, 2}, calls)) {
          for (unsigned i = 0; i < 8; ++i) {
            note(i, append(*opened->journal, i));
            if (opened->journal->is_large()) {
              std::vector<ActionRecord> records;
              for (const auto &id : kept) {
                records.push_back(
                    made_record(static_cast<unsigned>(std::stoul(id.substr(2), nullptr, 16))));
              }
              static_cast<void>(opened->journal->start_anew(records));
            }
          }
        }
        const bool reached = calls->calls() >= nth;
        const auto again = ActionJournal::open(folder);
        ASSERT_TRUE(again) << "call " << nth << ": " << again.error().message;
        std::vector<std::string> found;
        for (const auto &record : again->records) {
          found.push_back(record.id);
        }
        if (lasting && fault.error != 0) { // the last may be there that could not be taken back
          ASSERT_LE(found.size(), kept.size() + 1) << nth;
          found.resize(std::min(found.size(), kept.size()));
        }
        ASSERT_EQ(found, kept) << "call " << nth << " error " << fault.error;
        if (!reached) {
          break;
        }
      }
    }
  }
}

/// In a child with a mount namespace of its own. Its exit status: 0 fine, 77 cannot be had here.
int fill_a_file_system(const std::string &folder) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") != 0) {
    return 77;
  }
  unsigned kept = 0;
  unsigned failed = 0;
  {
    const auto opened = ActionJournal::open(folder);
    for (unsigned i = 0; opened && i < 200; ++i) {
      ++(append(*opened->journal, i) ? kept : failed);
    }
  }
  const auto full = ActionJournal::open(folder);
  if (!full || failed == 0 || kept == 0 || full->records.size() != kept || !full->told.empty()) {
    return 1;
  }
  return ::mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT, "size=1m") == 0 &&
                 append(*full->journal, 1000)
             ? 0
             : 2;
}

TEST_F(ActionJournalTest, AFullFileSystemLosesNothingAndGoesOnOnceThereIsRoom) {
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::_exit(fill_a_file_system(folder));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "no mount namespace can be had";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
} // namespace outguard::store
