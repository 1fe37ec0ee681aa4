// What journaling costs an action: a step written and synced, ask to act, and a start with a long
// journal. Usage: desk_bench FOLDER (on the file system that is meant; made, and left empty)
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "daemon/action_desk.h"
#include "daemon/action_rules.h"
#include "store/action_journal.h"

namespace {

using namespace outguard;
using Clock = std::chrono::steady_clock;

constexpr unsigned kSteps = 500;
constexpr unsigned kLines = 100'000;

double since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

void print(const char *what, std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  fmt::print("{}: p50 {:.0f} us, p99 {:.0f} us over {}\n", what, samples[samples.size() / 2],
             samples[samples.size() * 99 / 100], samples.size());
}

ActionRecord made(unsigned number, ActionState state) {
  ActionRecord record;
  record.id = fmt::format("a-{:012x}", number);
  record.wanted.action = ResponseAction::Kill;
  record.wanted.vm = "11111111-2222-3333-4444-555555555555";
  record.wanted.process = ProcessIdentity{42, 1'000'000'007, 0xffff'8880'1234'5678};
  record.wanted.actor = "policy 7";
  record.wanted.why = "tcp 10.0.0.2:4000 -> 9.9.9.9:443 domain bad.example";
  record.plan_hash = std::string(64, 'a');
  record.state = state;
  record.asked_ns = record.changed_ns = wall_now().time_since_epoch().count();
  return record;
}

class NoHands : public daemon::ActionHands {
public:
  Result<void> allow(const ActionWanted & /*wanted*/) override { return {}; }
  ResponseDone act(const ActionWanted &wanted, bool /*dry*/) override {
    (wanted.rule ? blocked : acted) = since(begun);
    return {wanted.action, ResponseStatus::Killed, ""};
  }
  Result<void> undo(const ActionWanted & /*wanted*/) override { return {}; }
  Result<bool> holds(const ActionWanted & /*wanted*/) override { return true; }

  Clock::time_point begun;
  std::atomic<double> acted = 0, blocked = 0;
};

daemon::ActionLimits without_budgets() {
  daemon::ActionLimits limits;
  limits.budgets = {};
  return limits;
}

bool bench_append(const std::string &folder) {
  auto opened = store::ActionJournal::open(folder);
  std::vector<double> samples;
  for (unsigned i = 0; opened && i < kSteps; ++i) {
    const store::JournalStep steps[] = {{made(i, ActionState::Asked), "policy 7"},
                                        {made(i, ActionState::Acting), "desk"}};
    const auto begin = Clock::now();
    if (!opened->journal->append(steps)) {
      return false;
    }
    samples.push_back(since(begin));
  }
  if (opened) {
    print("two steps written and synced", samples);
  }
  return opened.has_value();
}

bool bench_ask(const std::string &folder) {
  auto hands = std::make_shared<NoHands>();
  auto desk = daemon::ActionDesk::open(
      folder, [hands](const std::string &) { return hands; }, without_budgets());
  if (!desk) {
    return false;
  }
  std::vector<double> acted;
  std::vector<double> proved;
  for (unsigned i = 0; i < kSteps; ++i) {
    auto wanted = made(i, ActionState::Asked).wanted;
    wanted.actor = "uid 0 (root)"; // no budget is asked
    wanted.process->pid = static_cast<std::int32_t>(i + 1);
    hands->begun = Clock::now();
    const auto asked = (*desk)->ask(wanted, daemon::ApprovalRule::Auto, false);
    const auto done = asked ? (*desk)->wait(asked->id, std::chrono::seconds(10)) : asked;
    if (!done || done->state != ActionState::Done) {
      return false;
    }
    acted.push_back(hands->acted);
    proved.push_back(since(hands->begun));
  }
  print("asked until acted on", acted);
  print("asked until journaled as done", proved);
  return true;
}

/// What a finding asks for together: the block, then the kill.
bool bench_finding(const std::string &folder) {
  auto hands = std::make_shared<NoHands>();
  auto desk = daemon::ActionDesk::open(
      folder, [hands](const std::string &) { return hands; }, without_budgets());
  if (!desk) {
    return false;
  }
  std::vector<double> blocked;
  std::vector<double> killed;
  for (unsigned i = 0; i < kSteps; ++i) {
    const auto kill = made(i, ActionState::Asked).wanted;
    auto block = kill;
    block.process.reset();
    block.action = ResponseAction::BlockRemote;
    block.ttl = std::chrono::hours(1);
    block.rule = RemoteRule{*IpNetwork::parse(fmt::format("9.9.{}.{}", i / 256, i % 256))};
    auto killed_one = kill;
    killed_one.process->pid = static_cast<std::int32_t>(i + 1);
    hands->begun = Clock::now();
    const auto asked = (*desk)->ask_together({{block}, {killed_one}}, {});
    for (const auto &one : asked) {
      if (!one || !(*desk)->wait(one->id, std::chrono::seconds(10))) {
        return false;
      }
    }
    blocked.push_back(hands->blocked);
    killed.push_back(hands->acted);
  }
  print("a finding's block, asked until acted on", blocked);
  print("its kill, after the block", killed);
  return true;
}

/// `per_action`: lines of each; 1: each is an action that nobody has answered for.
bool bench_open(const std::string &folder, unsigned per_action) {
  {
    auto opened = store::ActionJournal::open(folder, {std::size_t{1} << 30U, 1});
    constexpr ActionState kStates[] = {ActionState::Asked, ActionState::Acting, ActionState::Done};
    std::vector<store::JournalStep> steps;
    for (unsigned i = 0; opened && i < kLines; ++i) {
      const auto state = per_action == 1 ? ActionState::Done : kStates[i % per_action];
      steps.push_back({made(i / per_action, state), "policy 7"});
      if (steps.size() == 1000 || i + 1 == kLines) {
        if (!opened->journal->append(steps)) {
          return false;
        }
        steps.clear();
      }
    }
  }
  const auto size = std::filesystem::file_size(folder + "/actions.jsonl");
  const auto cpu = std::clock();
  const auto begin = Clock::now();
  const auto desk = daemon::ActionDesk::open(folder, [](const std::string &) { return nullptr; });
  const auto taken = since(begin);
  fmt::print(
      "open with {} lines, {} of each action, {:.0f} MB: {:.0f} ms ({:.0f} of a processor), {} "
      "records\n",
      kLines, per_action, static_cast<double>(size) / 1e6, taken / 1000,
      static_cast<double>(std::clock() - cpu) * 1000 / CLOCKS_PER_SEC,
      desk ? (*desk)->list().size() : 0);
  return desk.has_value();
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: desk_bench FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  const auto clean = [&](const std::function<bool(const std::string &)> &bench) {
    std::error_code ignored;
    const bool good = bench(folder);
    std::filesystem::remove_all(folder, ignored);
    return good;
  };
  const bool good = clean(bench_append) && clean(bench_ask) && clean(bench_finding) &&
                    clean([](const auto &to) { return bench_open(to, 3); }) &&
                    clean([](const auto &to) { return bench_open(to, 1); });
  return good ? 0 : 1;
}
