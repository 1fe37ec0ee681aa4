// A sensor that a guest took over writes whatever it likes to the supervisor's socket.
#include <cstdlib>

#include "facts/messages.h"

using namespace outguard;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  MatchSeen match;
  match.flow.interface = "tap0";
  match.attribution.processes.resize(2);
  match.attribution.processes[0].cmdline = {GuestText("a"), GuestText("b")};
  match.sources.resize(2);
  match.beacon.emplace().destination = GuestText("a.example");
  match.knocks.emplace().ports = {22, 80};
  MatchedFlowEnded ended;
  ended.matches.resize(2);
  ended.observed.resize(2);
  PlanMade plan;
  plan.plan.patches.resize(3);
  SignalPlanMade signal_plan;
  signal_plan.plan.identity.resize(3);
  ProcessRows rows;
  rows.rows.resize(3);
  SocketRows sockets;
  sockets.rows.resize(2);
  sockets.rows[0].owners.resize(2);
  return {encode(ReportEnvelope{0, match}),       encode(ReportEnvelope{1, plan}),
          encode(ReportEnvelope{1, signal_plan}), encode(ReportEnvelope{2, rows}),
          encode(ReportEnvelope{3, sockets}),     encode(ReportEnvelope{4, Failed{"reason"}}),
          encode(ReportEnvelope{0, ended})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::span bytes(data, size);
  // What was understood must survive being said again.
  if (const auto report = decode_report(bytes)) {
    const auto again = decode_report(encode(*report));
    if (!again || encode(*again) != encode(*report)) {
      std::abort();
    }
  }
  if (const auto request = decode_request(bytes)) {
    if (!decode_request(encode(*request))) {
      std::abort();
    }
  }
  return 0;
}
