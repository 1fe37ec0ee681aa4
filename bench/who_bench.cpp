// Measures `who` over every flow of a live guest, and checks each answer against the table of all
// sockets. Prints one JSON object. bench/attribution.py boots the guest and gathers the figures.
//
//   who_bench TARGET
//
// Prints "attached", then waits for a line: flows that are opened in between are new to it.
#include <algorithm>
#include <cstdio>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "live_guest.h"

namespace {

using namespace outguard;

struct Flow {
  FlowTuple tuple;
  std::set<std::int32_t> owners;
};

/// Connected and held, in an order that no cache likes.
std::vector<Flow> flows_of(guest::LinuxGuest &guest) {
  std::vector<Flow> flows;
  for (const auto &socket : guest.sockets().sockets) {
    if (socket.owners.empty() || socket.remote.port == 0 || socket.raw) {
      continue;
    }
    Flow flow{{socket.protocol, socket.local, socket.remote}, {}};
    for (const auto &owner : socket.owners) {
      flow.owners.insert(owner.process.pid);
    }
    flows.push_back(std::move(flow));
  }
  std::shuffle(flows.begin(), flows.end(), std::mt19937(1));
  return flows;
}

struct Outcome {
  std::vector<double> took;
  std::size_t wrong = 0; ///< another answer than the table of all sockets gives
};

Outcome ask(guest::LinuxGuest &guest, const std::vector<Flow> &flows) {
  Outcome outcome;
  for (const Flow &flow : flows) {
    const auto start = monotonic_now();
    const auto answer = guest.attribute(flow.tuple, wall_now()); // no earlier read is good enough
    outcome.took.push_back(microseconds_since(start));
    std::set<std::int32_t> named;
    for (const auto &process : answer.processes) {
      named.insert(process.identity.pid);
    }
    outcome.wrong += answer.status != AttributionStatus::Exact || named != flow.owners ? 1U : 0U;
  }
  return outcome;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fputs("usage: who_bench TARGET\n", stderr);
    return 2;
  }
  const auto asked = attach_to(argv[1]);
  static_cast<void>(asked.linux_guest->sockets()); // as a sensor does when it has attached
  std::puts("attached");
  std::fflush(stdout);
  std::getchar();
  const auto teller = attach_to(argv[1]); // knows the flows; the one that is asked must not
  const auto flows = flows_of(*teller.linux_guest);
  const auto fresh = ask(*asked.linux_guest, flows);
  const auto known = ask(*asked.linux_guest, flows);
  std::vector<double> refreshes;
  for (int round = 0; round < 20; ++round) {
    const auto start = monotonic_now();
    static_cast<void>(teller.linux_guest->sockets());
    refreshes.push_back(microseconds_since(start));
  }
  fmt::print(R"({{"memory": "{}", "flows": {}, "new_us": {}, "known_us": {}, "wrong": {}, )"
             R"("whole_table_us": {}}})"
             "\n",
             asked.mapped ? "mapped" : "process", flows.size(), percentiles(fresh.took),
             percentiles(known.took), fresh.wrong + known.wrong, percentiles(refreshes));
  return 0;
}
