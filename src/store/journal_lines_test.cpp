#include <gtest/gtest.h>

#include "base/printable.h"
#include "store/journal_lines.h"
#include "store/journal_test_records.h"

namespace outguard::store {
namespace {

/// A checkpoint and `records` of states that go round.
std::string made_journal(unsigned records, JournalPosition &position) {
  std::string text = checkpoint_line(position, 0);
  for (unsigned i = 0; i < records; ++i) {
    text += journal_line(position, made_record(i), "uid 0 (root)").value();
  }
  return text;
}

std::size_t start_of(const std::string &text, unsigned line) {
  std::size_t at = 0;
  for (; line > 1; --line) {
    at = text.find('\n', at) + 1;
  }
  return at;
}

/// What reading says of a text that was damaged at a place.
std::string damage(std::string text, const std::string &what, const std::string &with) {
  text.replace(text.find(what), what.size(), with);
  const auto read = read_journal(text);
  return read ? "" : read.error().message;
}

TEST(JournalLines, WhatWasWrittenIsReadBack) {
  JournalPosition position;
  const auto text = made_journal(10, position);
  const auto read = read_journal(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->lines, 11U);
  EXPECT_EQ(read->first_seq, 1U);
  EXPECT_EQ(read->end, position);
  EXPECT_EQ(read->good_bytes, text.size());
  ASSERT_EQ(read->records.size(), 10U);
  for (unsigned i = 0; i < 10; ++i) {
    EXPECT_TRUE(same(read->records[i], made_record(i))) << i;
  }
  for (const char one : text) {
    ASSERT_TRUE(one == '\n' || (one >= ' ' && one <= '~')) << "raw bytes of a guest";
  }
}

TEST(JournalLines, TheLastLineOfAnIdCounts) {
  JournalPosition position;
  auto text = made_journal(3, position);
  text += journal_line(position, made_record(1, ActionState::Undoing), "desk").value();
  const auto read = read_journal(text);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->records.size(), 3U);
  EXPECT_TRUE(same(read->records[1], made_record(1, ActionState::Undoing)));
}

TEST(JournalLines, NothingAtAllIsANewJournal) {
  const auto read = read_journal("");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->end, JournalPosition{});
  EXPECT_EQ(read->lines, 0U);
}

TEST(JournalLines, AnyEndOfTheTextIsTornAndLosesOnlyTheLastLine) {
  JournalPosition position;
  const auto text = made_journal(3, position);
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto read = read_journal(std::string_view(text).substr(0, size));
    ASSERT_TRUE(read) << size << ": " << read.error().message;
    const auto whole = size == 0 ? 0 : text.rfind('\n', size - 1);
    ASSERT_EQ(read->good_bytes, whole == std::string::npos || size == 0 ? 0 : whole + 1) << size;
  }
}

TEST(JournalLines, BlocksThatWereNeverWrittenAreTorn) {
  JournalPosition position;
  auto text = made_journal(3, position);
  const auto third = start_of(text, 3);
  text.replace(third + 5, 20, std::string(20, '\0'));
  const auto read = read_journal(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->good_bytes, third);

  // But not far from the end: those lines had been synced.
  auto much = text;
  while (much.size() < 5 * kMostJournalLine) {
    much += text.substr(third);
  }
  EXPECT_FALSE(read_journal(much));
}

TEST(JournalLines, EveryChangedBitIsFoundBeforeTheLastLine) {
  JournalPosition position;
  auto text = made_journal(3, position);
  const auto last = start_of(text, 4);
  for (std::size_t at = 0; at < last; ++at) {
    text[at] = static_cast<char>(text[at] ^ 1);
    ASSERT_FALSE(read_journal(text)) << at;
    text[at] = static_cast<char>(text[at] ^ 1);
  }
  EXPECT_TRUE(read_journal(text));
}

TEST(JournalLines, DamageNamesItsLine) {
  JournalPosition position;
  const auto text = made_journal(5, position);
  EXPECT_EQ(damage(text, "\"pid\":42", "\"pid\":43"),
            "line 3 does not follow from the line before it, which was changed, or lines are "
            "missing");
  EXPECT_EQ(damage(text, "\"seq\":3", "\"seq\":4"), "line 3 has not the number that follows");
  EXPECT_EQ(damage(text, "\"seq\":3", "\"seq\":x"), "line 3 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"seq\":3,", "\"seq\":3}"), "line 3 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"step\":\"asked\"", "\"stop\":\"asked\""),
            "line 2 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"step\":\"asked\"", "\"step\":\"\""),
            "line 2 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"a-000000000002\"", "\"" + std::string(40, 'a') + "\""),
            "line 4 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"open\":true", "\"open\":null"), "line 2 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"open\":true", "\"open\":true "), "line 2 is not a line of a journal");
  EXPECT_EQ(damage(text, "{\"prev\":\"", "{\"prev\":\"short\"}\n"),
            "line 1 is not a line of a journal");
  EXPECT_EQ(damage(text, "{\"prev\":\"", "\n{\"prev\":\""), "line 1 is not a line of a journal");
  EXPECT_EQ(damage(text, "\"version\":1", "\"version\":2"),
            "line 1 is not the beginning of a journal of version 1");
  EXPECT_EQ(damage(text, "\"records\":0", "\"records\":x"),
            "line 1 is not the beginning of a journal of version 1");
  EXPECT_EQ(damage(text, "\"records\":0", "\"records\":\"0\""),
            "line 1 is not the beginning of a journal of version 1");
  EXPECT_EQ(damage(text, "\"seq\":1,", "\"seq\":0,"),
            "line 1 is not the beginning of a journal of version 1");
  EXPECT_EQ(damage(text, "\"prev\":\"0", "\"prev\":\"1"),
            "line 1 is the first of all and has one before it");
  const auto second = start_of(text, 2);
  EXPECT_EQ(damage(text, text.substr(second, start_of(text, 3) - second), ""),
            "line 2 does not follow from the line before it, which was changed, or lines are "
            "missing");
  EXPECT_EQ(damage(text, text.substr(0, second), ""),
            "line 1 is not the beginning of a journal of version 1");
}

TEST(JournalLines, AChainOfNonsenseIsNoJournal) {
  // Whoever can write the file can compute hashes: what the records say is checked as well.
  JournalPosition position;
  const auto first = checkpoint_line(position, 0);
  const auto with = [&](const std::string &rest, const std::string &id = "a-1") {
    const auto read = read_journal(first + R"({"prev":")" + position.last_hash + R"(","id":")" +
                                   id + R"(","step":"asked","open":true,"seq":2,)" + rest + "\n");
    return read ? "" : read.error().message;
  };
  const std::string no_record = "line 2 has no record that can be read";
  EXPECT_EQ(with("\"record\":{}}"), no_record);
  EXPECT_EQ(with("\"record\":[[[[]]]]}"), no_record);
  EXPECT_EQ(with("\"nothing\":1}"), no_record);
  EXPECT_EQ(with("not json"), no_record);
  EXPECT_EQ(with("", "checkpoint"), "line 2 is a beginning in the middle");
  EXPECT_EQ(with("\"x\":\"" + std::string(kMostJournalLine, 'x') + "\"}"),
            "line 2 is not a line of a journal");
  // A record of another action, or state, than the line says.
  auto other = position;
  auto text = journal_line(other, made_record(1), "desk").value();
  const auto record = text.substr(text.find("\"record\":"), text.size());
  EXPECT_EQ(with(record.substr(0, record.size() - 1)), no_record);
  EXPECT_EQ(with(record.substr(0, record.size() - 1), "a-000000000001"), "");
  other = position;
  text = journal_line(other, made_record(1, ActionState::Done), "desk").value();
  const auto done = text.substr(text.find("\"record\":"), text.size());
  EXPECT_EQ(with(done.substr(0, done.size() - 1), "a-000000000001"), no_record);
  // Of the state that the line says, and open where the line says it is not.
  other = position;
  text = journal_line(other, made_record(1), "desk").value();
  text.replace(text.find("\"open\":true"), 11, "\"open\":false");
  EXPECT_EQ(read_journal(first + text).error().message, no_record);
}

Protection made_protection(const char *what = "10.0.0.0/8") {
  auto one = parse_protection(what).value();
  one.id = "p-000000000001";
  one.actor = "uid 0 (root)";
  one.why = "ours";
  one.added_ns = 1'800'000'000'123'456'789;
  return one;
}

TEST(JournalLines, WhatPeopleProtectIsReadBackUntilItIsRemoved) {
  JournalPosition position;
  auto text = made_journal(2, position);
  auto one = made_protection();
  one.expires_ns = one.added_ns + 1;
  text += journal_line(position, one, "uid 0 (root)").value();
  auto read = read_journal(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->allowed, std::vector{one});
  EXPECT_EQ(read->records.size(), 2U);
  one.removed = true;
  text += journal_line(position, one, "uid 7").value();
  EXPECT_TRUE(read_journal(text)->allowed.empty());
}

TEST(JournalLines, ProtectionsThatDoNotAgreeWithTheirLineAreNone) {
  JournalPosition position;
  const auto first = checkpoint_line(position, 0);
  auto line = journal_line(position, made_protection(), "uid 0 (root)").value();
  ASSERT_TRUE(read_journal(first + line));
  for (const auto &[what, with] : std::vector<std::pair<std::string, std::string>>{
           {R"("step":"added")", R"("step":"removed")"},
           {R"("open":true)", R"("open":false)"},
           {R"("removed":false)", R"("removed":true)"},
           {R"("removed":false)", R"("removed":0)"},
           {R"("what":"10.0.0.0/8")", R"("what":"10.0.0.1/8")"},
           {R"("what":"10.0.0.0/8")", R"("what":8)"},
           {R"("id":"p-000000000001","step")", R"("id":"p-000000000002","step")"},
           {R"("record":)", R"("recall":)"},
           {R"("actor":)", R"(not json)"}}) {
    auto changed = line;
    changed.replace(changed.find(what), what.size(), with);
    const auto read = read_journal(first + changed);
    ASSERT_FALSE(read) << changed;
    EXPECT_EQ(read.error().message, "line 2 has no record that can be read");
  }
  auto nobody = made_protection();
  nobody.id = "a-000000000001";
  const auto before = position;
  EXPECT_FALSE(journal_line(position, nobody, "x"));
  nobody = made_protection();
  nobody.why = std::string(5000, 'x');
  EXPECT_FALSE(journal_line(position, nobody, "x"));
  auto record = made_record(1);
  record.id = "p-000000000001";
  EXPECT_FALSE(journal_line(position, record, "x"));
  EXPECT_EQ(position, before);
}

TEST(JournalLines, CarriedRecordsMustBeThere) {
  JournalPosition position;
  auto text = checkpoint_line(position, 2);
  text += journal_line(position, made_record(1), "carried over").value();
  const auto read = read_journal(text);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message,
            "line 2 is the last, and records that were carried over are missing");
  text += journal_line(position, made_record(2), "carried over").value();
  EXPECT_TRUE(read_journal(text));
}

TEST(JournalLines, WhatCouldNotBeReadBackIsNotWritten) {
  JournalPosition position;
  const auto before = position;
  auto record = made_record(0);
  record.wanted.process->start_boottime_ns = ~0ULL; // a hostile guest's
  EXPECT_FALSE(journal_line(position, record, "desk"));
  record = made_record(0);
  record.wanted.why = std::string(5000, 'x');
  EXPECT_FALSE(journal_line(position, record, "desk"));
  record = made_record(0);
  record.id = "checkpoint";
  EXPECT_FALSE(journal_line(position, record, "desk"));
  EXPECT_FALSE(journal_line(position, made_record(0), std::string(kMostJournalLine, 'x')));
  EXPECT_EQ(position, before);
}

TEST(JournalLines, OfWhatIsOverTheNewestIsReadAndOfTheRestAll) {
  JournalPosition position;
  auto text = checkpoint_line(position, 0);
  text += journal_line(position, made_record(0), "desk").value();
  for (unsigned i = 1; i <= kMostEndedRead + 1; ++i) {
    constexpr ActionState kOver[] = {ActionState::Failed, ActionState::Refused, ActionState::Undone,
                                     ActionState::Expired};
    text += journal_line(position, made_record(i, kOver[i % 4]), "desk").value();
  }
  const auto read = read_journal(text);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->records.size(), kMostEndedRead + 1);
  EXPECT_EQ(read->records[0].id, made_record(0).id);
  EXPECT_EQ(read->records[1].id, made_record(2).id);
}

TEST(PlanHash, IsOfWhatIsWantedNotOfWhoAndWhy) {
  const auto wanted = made_record(1).wanted;
  const auto hash = plan_hash(wanted);
  EXPECT_EQ(hash.size(), 64U);
  auto other = wanted;
  other.actor = "uid 0";
  other.why = "";
  EXPECT_EQ(plan_hash(other), hash);
  other.ttl += std::chrono::seconds(1);
  EXPECT_NE(plan_hash(other), hash);
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

} // namespace
} // namespace outguard::store
