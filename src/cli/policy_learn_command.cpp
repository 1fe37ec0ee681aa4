// policy learn: watches a guest's sockets for a while and proposes a policy that allows just that.
#include <chrono>
#include <set>
#include <thread>

#include "cli/commands.h"
#include "cli/policy_flows.h"
#include "cli/problems.h"
#include "policy/condition.h"
#include "policy/files/proposal.h"

namespace outguard::cli {

namespace {

constexpr std::size_t kMostLearned = 10'000;

/// One of each process that holds the socket; tells how many found no room.
std::size_t learn(const LiveFlow &flow, std::set<policy::LearnedFlow> &learned) {
  std::size_t dropped = 0;
  policy::LearnedFlow one;
  one.initiator = flow.initiator;
  one.protocol = flow.tuple.protocol;
  one.port = policy::service_port(flow.tuple, flow.initiator);
  if (flow.initiator == FlowDirection::ToRemote) {
    one.remote = flow.tuple.remote.address;
  }
  for (const auto &process : flow.attribution.processes) {
    one.exe = std::string(process.exe ? process.exe->raw() : std::string_view());
    one.container =
        process.container ? std::optional(std::string(process.container->raw())) : std::nullopt;
    if (learned.size() < kMostLearned) {
      learned.insert(one);
    } else {
      dropped += 1 - learned.count(one);
    }
  }
  return dropped;
}

} // namespace

Exit policy_learn(const Common &common, const std::string &target, std::chrono::seconds time) {
  constexpr std::chrono::milliseconds kInterval{500};
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  std::set<policy::LearnedFlow> learned;
  std::size_t dropped = 0;
  Completeness completeness;
  const auto end = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto live = live_flows(*opened);
    if (!live) {
      return report(live.error());
    }
    for (const auto &flow : live->flows) {
      dropped += learn(flow, learned);
    }
    completeness = live->completeness.partial ? live->completeness : completeness;
    if (std::chrono::steady_clock::now() + kInterval > end) {
      break;
    }
    std::this_thread::sleep_for(kInterval);
  }
  print_line("# Proposed from what held a socket while it was looked at, twice a second. What came "
             "and went between");
  print_line("# two looks is not in it. Read it, cut it down, then: outguard policy check FILE");
  auto text = policy::propose(opened->name.printable(), {learned.begin(), learned.end()});
  text.pop_back(); // its line end
  print_line(text);
  if (dropped != 0) {
    complain("left out, as no more than " + std::to_string(kMostLearned) +
             " are kept: " + std::to_string(dropped) + " sightings");
  }
  return end_with(completeness);
}

} // namespace outguard::cli
