// Ends, suspends and resumes processes of a live guest as the product does, and prints what came of
// each as a JSON line. bench/signals.py and tests/system/test_signals.py boot the guest and judge
// it by its own word.
//
//   signal_bench TARGET
//
// Reads "kill|suspend|resume PID" a line until its input ends; answers each. "pause 0" only stops
// the VM and lets it run again: what the least of all pauses costs here and now.
#include <cstdio>
#include <iostream>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "hypervisor/vm_finder.h"
#include "launch/attach.h"
#include "launch/describe_process.h"
#include "respond/process_signal.h"

using namespace outguard;

namespace {

[[noreturn]] void give_up(const std::string &why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

class Link : public respond::SensorLink {
public:
  explicit Link(launch::SensorProcess &sensor) : sensor_(sensor) {}
  Result<WritePlan> plan_kill(const ProcessIdentity &process) override {
    return launch::plan_kill(sensor_, process);
  }
  Result<SignalPlan> plan_signal(const ProcessIdentity &process, GuestSignal signal) override {
    return launch::plan_signal(sensor_, process, signal);
  }
  Result<ProcessFate> fate(const ProcessIdentity &process) override {
    return launch::check_fate(sensor_, process);
  }

private:
  launch::SensorProcess &sensor_;
};

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

nlohmann::json carry_out(const std::string &what, const ProcessIdentity &process,
                         respond::VmHands &hands) {
  const auto signal = what == "kill"      ? GuestSignal::Kill
                      : what == "suspend" ? GuestSignal::Stop
                                          : GuestSignal::Continue;
  respond::ProcessSignalLimits limits;
  limits.proof_time = std::chrono::milliseconds(2000);
  respond::ProcessSignal way(process, signal, hands, limits);
  const auto start = monotonic_now();
  auto result = way.deliver();
  const auto delivered = monotonic_now();
  if (!result) {
    result = way.prove();
  }
  return {{"status", to_string(result->status)},
          {"reason", result->reason},
          {"plans", way.plans()},
          {"by_writing", way.is_only_marked()},
          {"paused_ms", milliseconds(way.paused())},
          {"delivered_ms", milliseconds(delivered - start)},
          {"proved_ms", milliseconds(monotonic_now() - start)}};
}

nlohmann::json pause_only(respond::VmHands &hands) {
  auto control = hands.open_control();
  if (!control) {
    return {{"status", "failed"}, {"reason", control.error().message}};
  }
  auto paused = hypervisor::PausedVm::pause(**control);
  const auto stood = paused ? paused->resume() : tl::unexpected(paused.error());
  return stood ? nlohmann::json{{"status", "paused"}, {"paused_ms", milliseconds(*stood)}}
               : nlohmann::json{{"status", "failed"}, {"reason", stood.error().message}};
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    give_up("usage: signal_bench TARGET");
  }
  const auto vm = hypervisor::resolve_target(argv[1]);
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!vm || !sensor) {
    give_up(vm ? sensor.error().message : vm.error().message);
  }
  const auto attached = launch::attach_live(*sensor, *vm);
  if (!attached || attached->state.state != GuestState::Ready) {
    give_up(attached ? attached->state.reason : attached.error().message);
  }
  Link link(*sensor);
  respond::VmHands hands{link, nullptr, [&]() -> Result<std::unique_ptr<hypervisor::VmControl>> {
                           return hypervisor::QemuControl::open(*vm, attached->writable);
                         }};
  std::cout << R"({"ready": true})" << std::endl;
  std::string what;
  for (int pid = 0; std::cin >> what >> pid;) {
    if (what == "pause") {
      std::cout << pause_only(hands).dump() << std::endl;
      continue;
    }
    const auto process = launch::describe_process(*sensor, pid, {});
    std::cout << (process ? carry_out(what, process->detail.process.identity, hands)
                          : nlohmann::json{{"status", "no_process"},
                                           {"reason", process.error().message}})
                     .dump()
              << std::endl;
  }
  return 0;
}
