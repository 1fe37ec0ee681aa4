#include "guest/linux/signal_planner.h"

#include <algorithm>
#include <array>

#include "guest/linux/patch_builder.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kGroupExit = 4; // SIGNAL_GROUP_EXIT, include/linux/sched/signal.h

/// pop r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi: how the way back
/// from an interrupt takes a whole pt_regs off the stack.
constexpr std::array<std::uint8_t, 23> kPops = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,
                                                0x5d, 0x5b, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59,
                                                0x41, 0x58, 0x58, 0x59, 0x5a, 0x5e, 0x5f};

/// endbr64, and what the kernel makes of one that nobody branches to indirectly.
constexpr std::array<std::uint8_t, 4> kLandingPad = {0xf3, 0x0f, 0x1e, 0xfa};
constexpr std::array<std::uint8_t, 4> kSealedPad = {0x66, 0x0f, 0x1f, 0x00};

/// Where to stop in a function: behind its landing pad, so that a processor that is made to go
/// elsewhere does not still wait for one. nullopt: not readable.
std::optional<std::uint64_t> stop_in(GuestVirtual function, KernelReader &reader) {
  std::array<std::uint8_t, 4> code{};
  if (!reader.read(function, code)) {
    return std::nullopt;
  }
  return function.raw() + (code == kLandingPad || code == kSealedPad ? code.size() : 0);
}

} // namespace

SignalPlanner::SignalPlanner(const LinuxLayout &layout, const TaskList &tasks,
                             const SymbolTable &symbols, KernelReader &reader)
    : layout_(layout), tasks_(tasks) {
  find_places(symbols, reader);
}

void SignalPlanner::find_places(const SymbolTable &symbols, KernelReader &reader) {
  if (symbols.find("rt_spin_lock")) {
    unsupported_ = "a PREEMPT_RT kernel: its signal lock sleeps, which an interrupt must not";
    return;
  }
  const auto place = [&](const char *name) {
    const auto found = symbols.find(name);
    if (!found && unsupported_.empty()) {
      unsupported_ = std::string("the kernel's symbols lack ") + name;
    }
    return found.value_or(GuestVirtual{});
  };
  const GuestVirtual stop = place("hrtimer_interrupt");
  places_.function = place("do_send_sig_info").raw();
  const GuestVirtual way_back = place("restore_regs_and_return_to_kernel");
  places_.return_to = way_back.raw();
  places_.kernel_begin = place("_stext").raw();
  places_.kernel_end = place("_etext").raw();
  if (!unsupported_.empty()) {
    return;
  }
  std::array<std::uint8_t, kPops.size()> code{};
  if (!reader.read(way_back, code) || code != kPops) {
    unsupported_ = "restore_regs_and_return_to_kernel does not begin by restoring registers";
    return;
  }
  const auto stop_at = stop_in(stop, reader);
  if (!stop_at) {
    unsupported_ = "hrtimer_interrupt is not readable";
    return;
  }
  places_.stop_at = *stop_at;
  if (const auto interrupt = symbols.find("__common_interrupt")) {
    places_.hurry_at = stop_in(*interrupt, reader).value_or(0);
  }
}

tl::expected<SignalPlan, SignalRefusal> SignalPlanner::plan(const ProcessIdentity &process,
                                                            GuestSignal signal,
                                                            KernelReader &reader) const {
  const auto refused = [](KillRefusal refusal) {
    return tl::unexpected(SignalRefusal{refusal, to_string(refusal)});
  };
  if (!unsupported_.empty()) {
    return tl::unexpected(SignalRefusal{KillRefusal::Unsupported, unsupported_});
  }
  const auto leader = tasks_.find(process, reader);
  if (!leader) {
    return refused(leader.error().code == FaultCode::NotFound ? KillRefusal::NoSuchProcess
                                                              : KillRefusal::Unreadable);
  }
  if (const auto refusal = refuses_signals(*leader, tasks_.init_task())) {
    return refused(*refusal);
  }
  ObjectCopy shared(layout_.signal.signal);
  if (!shared.load(reader, leader->signal)) {
    return refused(KillRefusal::Unreadable);
  }
  if ((shared.number(layout_.signal.flags) & kGroupExit) != 0) {
    return refused(KillRefusal::AlreadyExiting);
  }
  PatchBuilder checks(reader);
  checks.expect_process(*leader, layout_.task);
  checks.expect(leader->address, layout_.task.sighand, leader->sighand.raw());
  auto identity = checks.finish();
  if (!identity) {
    return refused(identity.error());
  }
  SignalPlan plan = places_;
  plan.process = leader->identity();
  plan.signal = signal;
  plan.identity = std::move(*identity);
  return plan;
}

} // namespace outguard::guest
