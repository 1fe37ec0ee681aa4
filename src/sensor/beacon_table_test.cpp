// How well the score tells programs that call home from everything else, as rates over many seeds
// that never change.
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "sensor/beacon_table.h"

namespace outguard::sensor {
namespace {

constexpr guest::HashSeed kSeed{1, 2};
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kStart = 1'755'799'217 * kSecond; // 17 seconds into a minute
const Endpoint kRemote = Endpoint::parse("45.9.20.7:443").value();

/// The same on every machine, unlike the distributions of <random>.
class Dice {
public:
  explicit Dice(std::uint32_t seed) : engine_(seed) {}
  double share() { return static_cast<double>(engine_()) / 4294967296.0; } // [0, 1)
  double between(double least, double most) { return least + (most - least) * share(); }
  double exponential(double mean) { return -mean * std::log(1.0 - share()); }

private:
  std::mt19937 engine_;
};

struct Step {
  double wait; // seconds
  double bytes;
};
using Behaviour = std::function<Step(Dice &, int)>;

/// What so many contacts of the behaviour come to; `each` is called after every one.
BeaconTable table_after(
    const Behaviour &behaviour, std::uint32_t seed, int contacts, std::uint64_t &key,
    const std::function<void(BeaconTable &, std::int64_t)> &each = [](auto &, auto) {}) {
  BeaconTable table(kSeed);
  key = table.key("/usr/bin/x", 6, kRemote);
  Dice dice(seed);
  double now = 0;
  for (int i = 0; i < contacts; ++i) {
    const auto step = behaviour(dice, i);
    now += step.wait;
    const auto start = kStart + static_cast<std::int64_t>(now * 1e9);
    table.add(key, {start, static_cast<std::uint64_t>(step.bytes)});
    each(table, start);
  }
  return table;
}

struct Rates {
  double found = 0; ///< share of the runs that gave a finding
  double mean_score = 0;
};

Rates rates_of(const char *name, const Behaviour &behaviour, int contacts = 60) {
  constexpr std::uint32_t kRuns = 500;
  Rates rates;
  for (std::uint32_t seed = 1; seed <= kRuns; ++seed) {
    std::uint64_t key = 0;
    bool found = false; // at any of its contacts, as the sensor asks after each
    const auto table = table_after(behaviour, seed, contacts, key, [&](auto &sofar, auto now) {
      found = sofar.take_finding(key, now).has_value() || found;
    });
    const auto score = table.score(key);
    rates.mean_score += score ? score->score : 0.0;
    rates.found += found ? 1.0 : 0.0;
  }
  rates.mean_score /= kRuns;
  rates.found /= kRuns;
  std::printf("%-28s found %5.1f %%, mean score %5.1f\n", name, 100 * rates.found,
              rates.mean_score);
  return rates;
}

Behaviour beacon(double interval, double jitter, double size_jitter = 0) {
  return [=](Dice &dice, int) {
    return Step{interval * dice.between(1 - jitter, 1 + jitter),
                900 * dice.between(1 - size_jitter, 1 + size_jitter)};
  };
}

TEST(BeaconRates, WhatCallsHomeIsFound) {
  EXPECT_EQ(rates_of("beacon, perfect", beacon(300, 0)).found, 1.0);
  EXPECT_EQ(rates_of("beacon, 10 % jitter", beacon(60, 0.1)).found, 1.0);
  EXPECT_GT(rates_of("beacon, 30 % jitter", beacon(60, 0.3, 0.1)).found, 0.99);
  EXPECT_GT(rates_of("beacon, 50 % jitter", beacon(3600, 0.5)).found, 0.98);
  // Every tenth contact is missed, every tenth brings a task.
  EXPECT_GT(rates_of("beacon, 20 %, tasks, losses",
                     [](Dice &dice, int i) {
                       return Step{60 * dice.between(0.8, 1.2) * (i % 10 == 9 ? 2 : 1),
                                   i % 10 == 5 ? 50'000.0 : 700.0};
                     })
                .found,
            0.95);
}

TEST(BeaconRates, WhatPeopleAndProgramsDoIsNot) {
  // Think times over four decades, and pages of any size.
  EXPECT_LT(rates_of("browsing",
                     [](Dice &dice, int) {
                       return Step{std::exp(dice.between(std::log(1.0), std::log(3600.0))),
                                   std::exp(dice.between(std::log(2e3), std::log(2e6)))};
                     })
                .found,
            0.002);
  EXPECT_LT(rates_of("independent, any size",
                     [](Dice &dice, int) {
                       return Step{dice.exponential(120), 1000 + dice.exponential(20'000)};
                     })
                .found,
            0.002);
  EXPECT_LT(rates_of("independent, one size",
                     [](Dice &dice, int) {
                       return Step{dice.exponential(120), 900};
                     })
                .found,
            0.01);
  EXPECT_LT(rates_of("bursts",
                     [](Dice &dice, int i) {
                       return Step{i % 6 == 0 ? dice.exponential(600) : dice.between(1.1, 5), 900};
                     })
                .found,
            0.01);
}

/// cron: at the second that a minute begins, and a moment.
TEST(BeaconRates, WhatASchedulerStartsIsNotAFinding) {
  const Behaviour cron = [](Dice &dice, int i) {
    static thread_local double late = 0; // of the one before: each is counted from its minute
    const double before = i == 0 ? 17 : late;
    late = dice.between(0.1, 1.5);
    return Step{(i == 0 ? 60.0 : 300.0) - before + late, 900};
  };
  EXPECT_EQ(rates_of("cron, every 5 minutes", cron).found, 0.0);
  std::uint64_t key = 0;
  const auto score = table_after(cron, 1, 20, key).score(key);
  ASSERT_TRUE(score);
  EXPECT_TRUE(score->clock_aligned);
  EXPECT_GT(score->score, 90) << "the number stays honest";
  std::uint64_t other = 0;
  EXPECT_FALSE(table_after(beacon(60.05, 0), 1, 20, other).score(other)->clock_aligned);
}

TEST(BeaconTable, SaysTheNumbersBehindTheScore) {
  std::uint64_t key = 0;
  const auto score = table_after(beacon(60, 0), 1, 40, key).score(key);
  ASSERT_TRUE(score);
  EXPECT_EQ(score->score, 100);
  EXPECT_EQ(score->contacts, 40U);
  EXPECT_EQ(score->intervals, 16);
  EXPECT_EQ(score->mean_interval_ms, 60'000U);
  EXPECT_EQ(score->median_interval_ms, 60'000U);
  EXPECT_EQ(score->jitter_percent, 0);
  EXPECT_EQ(score->mean_bytes, 900U);
  EXPECT_EQ(score->first_ns, kStart + 60 * kSecond);
  EXPECT_EQ(score->last_ns, kStart + 40 * kMinute);
  std::uint64_t jittered = 0;
  const auto wide = table_after(beacon(60, 0.3), 2, 40, jittered).score(jittered);
  EXPECT_NEAR(wide->jitter_percent, 30, 12);
}

TEST(BeaconTable, FewContactsSayNothing) {
  std::uint64_t key = 0;
  EXPECT_FALSE(table_after(beacon(60, 0), 1, 4, key).score(key));
  auto table = table_after(beacon(60, 0), 1, 12, key);
  EXPECT_EQ(table.score(key)->score, 100);
  EXPECT_FALSE(table.take_finding(key, kStart)) << "11 intervals";
  for (int i = 13; i <= 15; ++i) {
    table.add(key, {kStart + i * kMinute, 900});
    EXPECT_FALSE(table.take_finding(key, kStart)) << "asked at every fourth only";
  }
  table.add(key, {kStart + 16 * kMinute, 900});
  EXPECT_TRUE(table.take_finding(key, kStart));
}

TEST(BeaconTable, IsToldOnceInACoolDown) {
  std::uint64_t key = 0;
  auto table = table_after(beacon(60, 0), 1, 40, key);
  EXPECT_TRUE(table.take_finding(key, kStart));
  EXPECT_FALSE(table.take_finding(key, kStart + BeaconTable::kCoolDown - 1));
  EXPECT_TRUE(table.take_finding(key, kStart + BeaconTable::kCoolDown));
  EXPECT_EQ(table.counts().findings, 2U);
}

TEST(BeaconTable, TheOrderInWhichFlowsEndDoesNotMatter) {
  BeaconTable forwards(kSeed);
  BeaconTable mixed(kSeed);
  const auto key = forwards.key("x", 6, kRemote);
  for (int i = 0; i < 30; ++i) {
    forwards.add(key, {kStart + i * kMinute, 900});
    mixed.add(key, {kStart + (i ^ 1) * kMinute, 900});
  }
  EXPECT_EQ(mixed.score(key)->score, 100);
  EXPECT_EQ(mixed.score(key)->last_ns, forwards.score(key)->last_ns);
  EXPECT_EQ(mixed.score(key)->mean_interval_ms, forwards.score(key)->mean_interval_ms);
}

TEST(BeaconTable, ConnectionsOfOneMomentAreOneContact) {
  BeaconTable table(kSeed);
  const auto key = table.key("x", 6, kRemote);
  for (int i = 0; i < 20; ++i) {
    table.add(key, {kStart + i * kMinute, 500});
    table.add(key, {kStart + i * kMinute + kSecond / 2, 400});
  }
  EXPECT_EQ(table.score(key)->contacts, 20U);
  EXPECT_EQ(table.score(key)->mean_bytes, 900U);
  EXPECT_EQ(table.score(key)->score, 100);
}

TEST(BeaconTable, KeysAreOfProcessAndDestination) {
  const BeaconTable table(kSeed);
  const auto other = Endpoint::parse("45.9.20.7:80").value();
  const auto key = table.key("x", 6, kRemote);
  EXPECT_EQ(table.key("x", 6, kRemote), key);
  EXPECT_NE(table.key("y", 6, kRemote), key);
  EXPECT_NE(table.key("x", 17, kRemote), key);
  EXPECT_NE(table.key("x", 6, other), key);
  EXPECT_NE(table.key("x", "a.example"), table.key("xa", ".example"));
  EXPECT_NE(BeaconTable({3, 4}).key("x", 6, kRemote), key);
}

TEST(BeaconTable, AFloodOfDestinationsPushesOutItself) {
  std::uint64_t key = 0;
  auto table = table_after(beacon(60, 0), 1, 20, key);
  auto remote = kRemote;
  constexpr std::uint64_t kFlood = 100'000;
  for (std::uint64_t i = 0; i < kFlood; ++i) {
    remote.address.bytes[1] = static_cast<std::uint8_t>(i >> 16);
    remote.address.bytes[2] = static_cast<std::uint8_t>(i >> 8);
    remote.address.bytes[3] = static_cast<std::uint8_t>(i);
    remote.port = 1;
    table.add(table.key("scan", 6, remote), {kStart + 3600 * kSecond + static_cast<int>(i), 60});
  }
  ASSERT_TRUE(table.score(key));
  EXPECT_EQ(table.score(key)->score, 100);
  EXPECT_EQ(table.counts().contacts, kFlood + 20);
  EXPECT_EQ(table.counts().evicted, kFlood + 1 - BeaconTable::kSets * BeaconTable::kWays);
}

TEST(BeaconTable, WildClocksAreNoTrouble) {
  BeaconTable table(kSeed);
  const auto key = table.key("x", 6, kRemote);
  for (const std::int64_t start :
       {INT64_C(0), INT64_C(-5'000'000'000), INT64_C(1) << 61, kStart, INT64_MIN, INT64_MAX,
        INT64_C(7'000'000'000), INT64_C(9'000'000'000)}) {
    table.add(key, {start, UINT64_MAX});
  }
  ASSERT_TRUE(table.score(key));
  EXPECT_LE(table.score(key)->score, 100);
}

} // namespace
} // namespace outguard::sensor
