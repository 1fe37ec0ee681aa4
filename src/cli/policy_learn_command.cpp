// policy learn: proposes a policy that allows just what a guest's sockets were seen to do for a
// while, or what an EVE file tells of its flows.
#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include "cli/commands.h"
#include "cli/policy_flows.h"
#include "cli/problems.h"
#include "policy/condition.h"
#include "policy/files/proposal.h"
#include "store/recorded_flow.h"

namespace outguard::cli {

namespace {

constexpr std::size_t kMostLearned = 10'000;

/// What is to be allowed, at most so much of it.
class Learned {
public:
  /// One of each process that holds the socket.
  void add(const FlowTuple &tuple, FlowDirection initiator, const Attribution &attribution) {
    policy::LearnedFlow one;
    one.initiator = initiator;
    one.protocol = tuple.protocol;
    one.port = policy::service_port(tuple, initiator);
    if (initiator == FlowDirection::ToRemote) {
      one.remote = tuple.remote.address;
    }
    for (const auto &process : attribution.processes) {
      one.exe = std::string(process.exe ? process.exe->raw() : std::string_view());
      one.container =
          process.container ? std::optional(std::string(process.container->raw())) : std::nullopt;
      if (flows_.size() < kMostLearned) {
        flows_.insert(one);
      } else {
        dropped_ += 1 - flows_.count(one);
      }
    }
  }

  void print(const char *seen, const std::string &vm) const {
    print_line(seen);
    print_line("# Read it, cut it down, then: outguard policy check FILE");
    auto text = policy::propose(vm, {flows_.begin(), flows_.end()});
    text.pop_back(); // its line end
    print_line(text);
    if (dropped_ != 0) {
      complain("left out, as no more than " + std::to_string(kMostLearned) +
               " are kept: " + std::to_string(dropped_) + " sightings");
    }
  }

private:
  std::set<policy::LearnedFlow> flows_;
  std::size_t dropped_ = 0;
};

} // namespace

Exit policy_learn(const Common &common, const std::string &target, std::chrono::seconds time) {
  constexpr std::chrono::milliseconds kInterval{500};
  auto opened = open_target(target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  Learned learned;
  Completeness completeness;
  const auto end = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto live = live_flows(*opened);
    if (!live) {
      return report(live.error());
    }
    for (const auto &flow : live->flows) {
      learned.add(flow.tuple, flow.initiator, flow.attribution);
    }
    completeness = live->completeness.partial ? live->completeness : completeness;
    if (std::chrono::steady_clock::now() + kInterval > end) {
      break;
    }
    std::this_thread::sleep_for(kInterval);
  }
  learned.print(
      "# Proposed from what held a socket while it was looked at, twice a second: what came "
      "and went\n# between two looks is not in it.",
      opened->name.printable());
  return end_with(completeness);
}

Exit policy_learn_recorded(const std::string &vm, const std::string &eve_file) {
  std::ifstream file(eve_file);
  Learned learned;
  std::size_t flows = 0, ownerless = 0;
  std::string name;
  for (std::string line; std::getline(file, line);) {
    const auto flow = store::recorded_flow(line);
    if (!flow || (flow->vm.raw() != vm && flow->uuid != vm)) {
      continue;
    }
    ++flows;
    name = flow->vm.printable();
    const bool owned = flow->attribution && !flow->attribution->processes.empty();
    ownerless += owned ? 0U : 1U;
    if (owned) {
      learned.add(flow->tuple, flow->initiator, *flow->attribution);
    }
  }
  if (flows == 0) {
    complain(eve_file + ": no flow of a VM that is named " + vm +
             "; a policy of it that says `default: alert` has all of them told");
    return Exit::NotFound;
  }
  learned.print("# Proposed from the flows that were told in an EVE file.", name);
  if (ownerless != 0) {
    complain("left out, as nobody is known to have held them: " + std::to_string(ownerless) +
             " of " + std::to_string(flows) + " lines");
  }
  return Exit::Ok;
}

} // namespace outguard::cli
