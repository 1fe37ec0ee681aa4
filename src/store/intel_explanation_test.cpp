#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "store/intel_explanation.h"
#include "store/intel_json.h"
#include "store/replay_json.h"

namespace outguard::store {
namespace {

using Json = nlohmann::json;

const std::string kHostile("\xff\n\x1b\"", 4);

IndicatorExplained listed(IndicatorState state) {
  IndicatorExplained one;
  one.hit.type = IndicatorType::Domain;
  one.hit.value = GuestText("evil.com");
  one.hit.source = GuestText(kHostile);
  one.hit.source_line = 7;
  one.hit.confidence = 75;
  one.state = state;
  one.sources = {GuestText("a.txt:7"), GuestText("b.txt:9")};
  return one;
}

TEST(IntelExplanation, TheVerdictIsTheStrongestState) {
  Explanation about;
  EXPECT_STREQ(verdict(about), "not_listed");
  about.refused.push_back({"a.txt", {3, "private range", GuestText("10.0.0.1")}});
  EXPECT_STREQ(verdict(about), "refused");
  for (const auto state :
       {IndicatorState::Expired, IndicatorState::NotYetValid, IndicatorState::Removed,
        IndicatorState::Allowed, IndicatorState::Matches}) {
    about.explained.indicators.push_back(listed(state));
    EXPECT_STREQ(verdict(about), to_string(state));
  }
}

TEST(IntelExplanation, RowTellsSourcesGuardAndWhatWasTried) {
  Explanation about{"value", kHostile, {}, {}, {}, {"evil.com", "com with subdomains"}};
  about.explained.indicators.push_back(listed(IndicatorState::Expired));
  about.explained.allowed_by = AllowEntry{GuestText("evil.com"), {}, GuestText("allow"), 2, 99};
  about.judged.refusal = "public suffix";
  about.refused.push_back({"a.txt", {3, "public suffix", GuestText(kHostile)}});
  auto row = Json::parse(explanation_json(about));
  EXPECT_EQ(row["verdict"], "expired");
  EXPECT_EQ(row["value"], "\\xff\\x0a\\x1b\"");
  EXPECT_EQ(row["indicators"][0]["sources"], (Json{"a.txt:7", "b.txt:9"}));
  EXPECT_EQ(row["indicators"][0]["state"], "expired");
  EXPECT_EQ(row["allowed_by"]["valid_until"], 99);
  EXPECT_EQ(row["allowed_by"]["comment"], nullptr);
  EXPECT_EQ(row["refused"][0]["line"], 3);
  EXPECT_EQ(row["guard"], nullptr) << "no guard: the form was wrong";
  EXPECT_EQ(row["tried"].size(), 2U);
  about.judged.by_guard = true;
  row = Json::parse(explanation_json(about));
  EXPECT_EQ(row["guard"], "public suffix");
}

TEST(IntelExplanation, PartsOfAnEveLine) {
  const std::string alert =
      R"({"flow_id":7,"src_ip":"10.0.0.5","src_port":4000,"dest_ip":"2001:db8::1","dest_port":443,)"
      R"("alert":{"context":{"indicator":{"matched":{"kind":"tls-sni","value":"evil.com"}}}},)"
      R"("tls":{"sni":"evil.com"}})";
  const auto parts = parts_of_eve(alert);
  ASSERT_EQ(parts.size(), 3U) << "the name is told once";
  EXPECT_EQ(parts[0].value, "10.0.0.5:4000");
  EXPECT_EQ(parts[1].value, "[2001:db8::1]:443");
  EXPECT_EQ(parts[2].what, "tls-sni");
  EXPECT_EQ(parts_of_eve(alert, "7").size(), 3U);
  EXPECT_TRUE(parts_of_eve(alert, "8").empty());
  const auto ping = parts_of_eve(R"({"src_ip":"1.1.1.1","src_port":null,"dest_ip":["x"]})");
  ASSERT_EQ(ping.size(), 1U);
  EXPECT_EQ(ping[0].value, "1.1.1.1");
  for (const char *bad : {"", "[]", "{", "7", R"({"alert":7})", R"({"src_ip":{}})"}) {
    EXPECT_TRUE(parts_of_eve(bad).empty()) << bad;
  }
}

TEST(IntelRows, StatsAndChanges) {
  IntelStats stats;
  stats.indicators = 5;
  stats.confidence.assign(IntelStats::kConfidenceSteps, 0);
  stats.confidence[7] = 5;
  stats.types = {{IndicatorType::Domain, 5}};
  stats.sources = {{GuestText(kHostile), 5, 4, 1}};
  const auto row = Json::parse(stats_json(stats, 2, 1));
  EXPECT_EQ(row["added_by_hand"], 2);
  EXPECT_EQ(row["removed_by_hand"], 1);
  EXPECT_EQ(row["types"]["domain"], 5);
  EXPECT_EQ(row["confidence"][7], 5);
  EXPECT_EQ(row["sources"][0]["alone"], 4);
  EXPECT_EQ(Json::parse(change_json("added", "a.com", ""))["note"], nullptr);
}

TEST(ReplayRow, CountsAndStages) {
  ReplayDone done;
  done.counters.seen = 10;
  done.counters.processed = 7;
  done.counters.dropped = {{"bad_record", 2}, {"truncated", 1}};
  done.counters.other = {{"flows", 3}};
  done.elapsed_ns = 2'000'000;
  done.stages = {{"read", 500'000}, {"match", 1'500'000}};
  const auto row = Json::parse(eve_stats(done, GuestText("a.pcap")));
  EXPECT_EQ(row["event_type"], "stats");
  EXPECT_EQ(row["packets"]["dropped"], (Json{{"bad_record", 2}, {"truncated", 1}}));
  EXPECT_EQ(row["packets_per_second"], 5000);
  EXPECT_EQ(row["stages_us"]["match"], 1500);
  EXPECT_EQ(row["problem"], nullptr);
  EXPECT_EQ(Json::parse(eve_stats({}, {}))["packets_per_second"], nullptr);
}

} // namespace
} // namespace outguard::store
