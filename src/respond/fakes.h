#pragma once
// Stand-ins for a VM, its sensor and its network, with faults to order and a record of what was
// asked. Tests only.

#include <algorithm>
#include <csignal>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "hypervisor/fake_gdb_stub.h"
#include "hypervisor/vm_control.h"
#include "respond/network_actions.h"
#include "respond/sensor_link.h"

namespace outguard::respond {

/// RAM of one page at 0x1000 and one at 0x3000; refuses to touch it while "running".
struct FakeVm {
  static constexpr std::uint64_t kFirstPage = 0x1000;
  static constexpr std::uint64_t kOtherPage = 0x3000;

  std::vector<std::uint8_t> memory = std::vector<std::uint8_t>(0x4000);
  bool running = true;
  bool touched_while_running = false;
  unsigned pauses = 0, resumes = 0, writes = 0;
  int fail_write = -1;   ///< this write fails (0 is the first)
  int lose_write = -1;   ///< this write succeeds and does nothing
  int die_at_write = -1; ///< the process that writes is killed
  bool fail_pause = false;
  bool fail_resume = false;
  std::function<void()> on_pause;
  hypervisor::FakeGdbStub *stub = nullptr; ///< what open_debugger() connects to
  std::optional<Error> stub_error;
  unsigned mends = 0, closes = 0, disturbances = 0;

  [[nodiscard]] std::uint32_t word(std::uint64_t address) const {
    std::uint32_t value = 0;
    std::copy_n(memory.begin() + static_cast<std::ptrdiff_t>(address), sizeof value,
                reinterpret_cast<std::uint8_t *>(&value));
    return value;
  }
  void set_word(std::uint64_t address, std::uint32_t value) {
    std::copy_n(reinterpret_cast<const std::uint8_t *>(&value), sizeof value,
                memory.begin() + static_cast<std::ptrdiff_t>(address));
  }
};

class FakeControl : public hypervisor::VmControl {
public:
  explicit FakeControl(FakeVm &vm) : vm_(vm) {}

  Result<hypervisor::RunState> status() override {
    return hypervisor::RunState{vm_.running, vm_.running ? "running" : "paused"};
  }
  Result<void> pause() override {
    ++vm_.pauses;
    vm_.running = false;
    if (vm_.on_pause) {
      vm_.on_pause();
    }
    return vm_.fail_pause ? Result<void>(fail(ErrorCode::Timeout, "no answer")) : Result<void>();
  }
  Result<void> resume() override {
    ++vm_.resumes;
    if (vm_.fail_resume) {
      return fail(ErrorCode::Unreachable, "QMP connection lost");
    }
    vm_.running = true;
    return {};
  }
  Result<void> read(std::uint64_t address, std::span<std::uint8_t> out) override {
    if (!in_ram(address, out.size())) {
      return fail(ErrorCode::InvalidInput, "not in RAM");
    }
    vm_.touched_while_running = vm_.touched_while_running || vm_.running;
    std::copy_n(vm_.memory.begin() + static_cast<std::ptrdiff_t>(address), out.size(), out.begin());
    return {};
  }
  Result<void> write(std::uint64_t address, std::span<const std::uint8_t> bytes) override {
    if (!in_ram(address, bytes.size())) {
      return fail(ErrorCode::InvalidInput, "not in RAM");
    }
    vm_.touched_while_running = vm_.touched_while_running || vm_.running;
    const int number = static_cast<int>(vm_.writes++);
    if (number == vm_.die_at_write) {
      ::kill(::getpid(), SIGKILL);
    }
    if (number == vm_.fail_write) {
      return fail(ErrorCode::SystemFailed, "injected");
    }
    if (number != vm_.lose_write) {
      std::copy(bytes.begin(), bytes.end(),
                vm_.memory.begin() + static_cast<std::ptrdiff_t>(address));
    }
    return {};
  }

  Result<Fd> open_debugger(std::string_view first_words) override {
    if (vm_.stub_error) {
      return tl::unexpected(*vm_.stub_error);
    }
    return vm_.stub == nullptr ? VmControl::open_debugger(first_words)
                               : Result<Fd>(vm_.stub->connect(first_words));
  }
  Result<void> close_debugger() override {
    ++vm_.closes;
    stood_ += std::chrono::milliseconds(1);
    return {};
  }
  Result<void> mend_debugger() override {
    ++vm_.mends;
    return {};
  }
  [[nodiscard]] std::chrono::nanoseconds stood() const override { return stood_; }
  void disturb() override { ++vm_.disturbances; }

private:
  static bool in_ram(std::uint64_t address, std::size_t length) {
    const auto inside = [&](std::uint64_t page) {
      return address >= page && length <= 0x1000 && address - page <= 0x1000 - length;
    };
    return inside(FakeVm::kFirstPage) || inside(FakeVm::kOtherPage);
  }
  FakeVm &vm_;
  std::chrono::nanoseconds stood_{};
};

/// Plans to write 1 where 0 stands; the process dies `looks_alive` looks after that, if it does.
class FakeSensor : public SensorLink {
public:
  std::deque<Error> plan_errors; ///< given out before the first plan
  unsigned stale_plans = 0;      ///< plans whose expectation does not hold, after the errors
  unsigned looks_alive = 1;
  std::optional<Error> fate_error; ///< the answer to every look
  ProcessFate end = ProcessFate::Gone;
  std::int32_t plan_for_pid = 0; ///< another process's plan (a sensor that lies)
  unsigned plans = 0, looks = 0;
  std::vector<std::string> *calls = nullptr;
  std::uint32_t guest_next = 100; ///< the guest sends ten bytes between two looks

  /// Without one, the kernel cannot be called.
  std::optional<SignalPlan> signal_plan;
  unsigned signal_plans = 0;

  Result<SignalPlan> plan_signal(const ProcessIdentity &process, GuestSignal signal) override {
    ++signal_plans;
    if (!signal_plan) {
      return SensorLink::plan_signal(process, signal);
    }
    SignalPlan plan = *signal_plan;
    plan.process = process;
    plan.process.task = signal_plan->process.task;
    plan.signal = signal;
    return plan;
  }
  Result<WritePlan> plan_kill(const ProcessIdentity &process) override {
    ++plans;
    note("plan");
    if (!plan_errors.empty()) {
      const Error error = plan_errors.front();
      plan_errors.pop_front();
      return tl::unexpected(error);
    }
    WritePlan plan{process, {{FakeVm::kFirstPage, 4, ~0U, 0, ~0U, 1}}};
    if (plan_for_pid != 0) {
      plan.process.pid = plan_for_pid;
    }
    if (stale_plans > 0) {
      --stale_plans;
      plan.patches[0].expect = 99;
    }
    return plan;
  }
  Result<ProcessFate> fate(const ProcessIdentity &) override {
    ++looks;
    if (fate_error) {
      return tl::unexpected(*fate_error);
    }
    return looks > looks_alive ? end : ProcessFate::Alive;
  }
  TcpPosition tcp_position(const FlowSeen &) override {
    return {std::exchange(guest_next, guest_next + 10), 200, true, true};
  }

private:
  void note(const char *what) {
    if (calls != nullptr) {
      calls->emplace_back(what);
    }
  }
};

class FakeNetwork : public NetworkActions {
public:
  std::vector<std::string> calls;
  Result<void> answer;
  ResetPositions reset_at; ///< of the last reset

  Result<void> block(const FlowSeen &, std::chrono::seconds) override { return note("block"); }
  Result<void> check_reset(const FlowSeen &, const ResetPositions &) override {
    return note("check_reset");
  }
  Result<void> reset(const FlowSeen &, const ResetPositions &positions) override {
    reset_at = positions;
    return note("reset");
  }
  Result<void> wake(const FlowSeen &, const TcpPosition &) override { return note("wake"); }

private:
  Result<void> note(const char *what) {
    calls.emplace_back(what);
    return answer;
  }
};

} // namespace outguard::respond
