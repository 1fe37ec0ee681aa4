#include <gtest/gtest.h>

#include "daemon/intel_journal.h"

namespace outguard::daemon {
namespace {

using std::chrono::minutes;

IntelConfig config() {
  IntelConfig config;
  config.cache = testing::TempDir() + "no-such-folder";
  IntelFeed feed;
  feed.name = "partner";
  feed.source.url = "https://feeds.example/list?key=secret";
  config.feeds.push_back(feed);
  return config;
}

launch::RefreshedFeed answer(FetchStatus status, FetchProblem problem = FetchProblem::None) {
  launch::RefreshedFeed refreshed;
  refreshed.fetched.answer.status = status;
  refreshed.fetched.answer.problem = problem;
  refreshed.fetched.answer.reason = problem == FetchProblem::None ? "" : "HTTP 403";
  return refreshed;
}

TEST(IntelJournal, AFeedThatFailsAndComesBack) {
  const auto wanted = config();
  IntelJournal journal(wanted);
  auto feed = journal.status().feeds.at(0);
  EXPECT_EQ(feed.place, "https://feeds.example/list");
  EXPECT_FALSE(feed.last_try || feed.copy_of || feed.confirmed || feed.failures);

  journal.fetched("partner", answer(FetchStatus::New), monotonic_now() + minutes(60));
  feed = journal.status().feeds.at(0);
  EXPECT_TRUE(feed.copy_of && feed.confirmed && feed.last_try);
  EXPECT_GT(*feed.next_try, wall_now() + minutes(59));
  const auto first_copy = feed.copy_of;

  journal.fetched("partner", answer(FetchStatus::Failed, FetchProblem::Denied), monotonic_now());
  const auto since = journal.status().feeds.at(0).failing_since;
  ASSERT_TRUE(since);
  journal.fetched("partner", fail(ErrorCode::NotFound, "key_file is gone"), monotonic_now());
  feed = journal.status().feeds.at(0);
  EXPECT_EQ(feed.failures, 2U);
  EXPECT_EQ(feed.failing_since, since); // of the first
  EXPECT_EQ(feed.problem, "key_file is gone");
  EXPECT_FALSE(feed.remedy.empty());
  EXPECT_EQ(feed.copy_of, first_copy);

  journal.fetched("partner", answer(FetchStatus::Unchanged), monotonic_now());
  feed = journal.status().feeds.at(0);
  EXPECT_EQ(feed.failures, 0U);
  EXPECT_FALSE(feed.failing_since);
  EXPECT_TRUE(feed.problem.empty() && feed.remedy.empty());
  EXPECT_EQ(feed.copy_of, first_copy);
  EXPECT_GT(*feed.confirmed, *first_copy);
  journal.fetched("another", answer(FetchStatus::New), monotonic_now()); // not configured
  EXPECT_EQ(journal.status().feeds.size(), 1U);
}

TEST(IntelJournal, WhatIsInForceStaysThroughRefusals) {
  const auto wanted = config();
  IntelJournal journal(wanted);
  journal.compiling();
  EXPECT_TRUE(journal.status().compiling);
  IntelLoader::Loaded loaded;
  loaded.totals.indicators = 12;
  loaded.feeds.resize(5 + api::IntelStatus::kMostSources);
  for (auto &feed : loaded.feeds) {
    feed.name = "lists/a.txt";
  }
  loaded.feeds[0].name = "warn/one.json";
  loaded.feeds[0].accepted = 7;
  loaded.feeds[1].name = "allow.txt";
  loaded.feeds[1].accepted = 2;
  loaded.feeds[2].name = "partner";
  loaded.feeds[2].accepted = 3;
  loaded.feeds[2].duplicates = 4;
  loaded.choices = {{"lists", false, ""},
                    {"warn", false, "", FeedRole::WarningList},
                    {"allow.txt", false, "", FeedRole::Allowlist},
                    {"cache/1.feed", false, "", FeedRole::Indicators, "partner"}};
  journal.loaded(loaded);
  IntelStats stats;
  stats.types = {{IndicatorType::Domain, 12}};
  journal.counted(stats);
  journal.compiling();
  journal.refused({"shrunken", "kill -HUP"});
  journal.changed(2, 1);
  journal.changes_refused("binary data");
  const auto status = journal.status();
  EXPECT_FALSE(status.compiling);
  EXPECT_EQ(status.indicators, 12U);
  EXPECT_EQ(status.types.at(0).name, "domain");
  EXPECT_EQ(status.problem, "shrunken");
  EXPECT_EQ(status.remedy, "kill -HUP");
  EXPECT_EQ(status.warninglists, 1U);
  EXPECT_EQ(status.warninglist_entries, 7U);
  EXPECT_EQ(status.allowlist_entries, 2U);
  EXPECT_EQ(status.sources.size(), api::IntelStatus::kMostSources);
  EXPECT_EQ(status.sources_left_out, 3U);
  EXPECT_EQ(status.sources.at(0).name, "partner");
  EXPECT_EQ(status.sources.at(0).entries, 7U);
  EXPECT_EQ(status.changes.added, 2U);
  EXPECT_EQ(status.changes.problem, "binary data");
  journal.loaded(loaded);
  EXPECT_TRUE(journal.status().problem.empty());
  EXPECT_TRUE(journal.status().types.empty()); // of another image
}

} // namespace
} // namespace outguard::daemon
