#include "respond/signal_call.h"

#include <array>
#include <cstring>
#include <optional>

#include "hypervisor/gdb_remote.h"
#include "respond/guarded_work.h"
#include "respond/patch_check.h"

namespace outguard::respond {

namespace {

using hypervisor::GdbRemote;
namespace gdb = hypervisor::gdb;
using hypervisor::Register;
using hypervisor::StoppedRegisters;
using std::chrono::milliseconds;

constexpr std::size_t kMostChecks = 8;
constexpr std::uint64_t kMostTextBytes = std::uint64_t{64} << 20;
/// Where 4- and 5-level paging alike have the kernel: sign-extended from bit 56 at most.
constexpr std::uint64_t kKernelHalf = 0xff00'0000'0000'0000;
constexpr std::uint64_t kLastPage = 0xffff'ffff'ffff'f000;

// do_send_sig_info(int, struct kernel_siginfo *, struct task_struct *, enum pid_type), 5.10 to 7.2.
constexpr std::uint64_t kSentByKernel = 1;    // SEND_SIG_PRIV: no permission is asked for
constexpr std::uint64_t kWholeProcess = 1;    // PIDTYPE_TGID
constexpr std::uint64_t kBelowTheStack = 512; ///< of what was interrupted: clear of any red zone
constexpr std::uint32_t kInterruptsOn = 0x200;
constexpr std::uint32_t kCleanFlags = 0x2; ///< reserved bit 1; interrupts off, direction forward
constexpr unsigned kBreakpointHit = 5;
constexpr std::uint16_t kPrivilege = 3;

/// struct pt_regs, arch/x86/include/asm/ptrace.h, below the address to return to.
struct Frame {
  std::uint64_t return_to;
  std::uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  std::uint64_t no_system_call;
  std::uint64_t rip, cs, eflags, rsp, ss;
};
static_assert(sizeof(Frame) == 22 * 8);

/// pop r15 ... pop rdi; add $8, %rsp: what stands at return_to, seen again before it is used.
constexpr std::array<std::uint8_t, 23> kPops = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,
                                                0x5d, 0x5b, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59,
                                                0x41, 0x58, 0x58, 0x59, 0x5a, 0x5e, 0x5f};

bool in_kernel(std::uint64_t address) {
  return address >= kKernelHalf && address < kLastPage;
}

/// What was interrupted, as the kernel itself would have saved it.
Frame frame_of(const StoppedRegisters &now, std::uint64_t return_to) {
  const auto &at = now.general;
  using enum Register;
  return {return_to, at[R15], at[R14], at[R13],    at[R12], at[Rbp], at[Rbx], at[R11],
          at[R10],   at[R9],  at[R8],  at[Rax],    at[Rcx], at[Rdx], at[Rsi], at[Rdi],
          ~0ULL,     now.rip, now.cs,  now.eflags, at[Rsp], now.ss};
}

/// Said before the stub opens, so that the VM stands no longer than QEMU needs to do it.
std::string first_words(const SignalPlan &plan) {
  return plan.hurry_at == 0 ? gdb::packets({gdb::kWhy, gdb::break_at(plan.stop_at), gdb::kRun})
                            : gdb::packets({gdb::kWhy, gdb::break_at(plan.stop_at),
                                            gdb::break_at(plan.hurry_at), gdb::kRun});
}

/// With a stub that was told first_words().
class Call {
public:
  Call(hypervisor::VmControl &control, const SignalPlan &plan, const SignalLimits &limits,
       GdbRemote &remote)
      : control_(control), plan_(plan), limits_(limits), remote_(remote) {}

  SignalOutcome run() {
    auto outcome = call();
    if (outcome.status != SignalStatus::Called && !let_go_) {
      back_out(outcome);
    }
    return outcome;
  }

private:
  static SignalOutcome failed(const Error &error, SignalStatus status = SignalStatus::Failed) {
    return {status, {}, {}, error.message};
  }
  [[nodiscard]] MonotonicTime soon() const { return monotonic_now() + limits_.answer; }

  SignalOutcome call() {
    auto ready = remote_.expect_ok("a breakpoint", soon());
    if (ready && plan_.hurry_at != 0) {
      ready = remote_.expect_ok("a second breakpoint", soon());
    }
    if (!ready) {
      return failed(ready.error());
    }
    const auto stop = wait_for_hit();
    if (!stop) {
      return failed(stop.error(), stop.error().code == ErrorCode::Timeout ? SignalStatus::Missed
                                                                          : SignalStatus::Failed);
    }
    stands_ = true;
    return divert(*stop);
  }

  Result<hypervisor::StopReply> wait_for_hit() {
    const auto deadline = monotonic_now() + limits_.hit;
    auto stop = remote_.wait_for_stop(monotonic_now() + limits_.hurry_after);
    if (!stop && stop.error().code == ErrorCode::Timeout && plan_.hurry_at != 0) {
      control_.disturb();
    }
    if (!stop && stop.error().code == ErrorCode::Timeout) {
      stop = remote_.wait_for_stop(deadline);
    }
    if (!stop && stop.error().code == ErrorCode::Timeout) {
      // One that is hit in this very moment is not used any more.
      stands_ = remote_.interrupt(soon()).has_value();
      return fail(ErrorCode::Timeout, "no processor of the guest came by in " +
                                          std::to_string(limits_.hit.count()) + " ms");
    }
    return stop;
  }

  SignalOutcome divert(const hypervisor::StopReply &stop) {
    std::array<std::uint8_t, kPops.size()> code{};
    auto known = remote_.send(
        {gdb::choose(stop), gdb::kRegisters, gdb::read_memory(plan_.return_to, code.size())});
    auto same = check_identity(); // while the stub answers
    if (known) {
      known = remote_.expect_ok("the choice of a processor", soon());
    }
    const auto now = known ? remote_.registers(soon()) : tl::unexpected(known.error());
    if (now) {
      known = remote_.memory(code, soon());
    }
    if (!now || !known) {
      return failed(now ? known.error() : now.error());
    }
    if (same.status != SignalStatus::Called) {
      return same;
    }
    if (const char *odd = unfit(stop, *now)) {
      return {SignalStatus::Mismatch, {}, {}, odd};
    }
    if (code != kPops) {
      return {SignalStatus::Mismatch, {}, {}, "another kernel runs in the VM"};
    }
    // Aligned as the psABI wants it at a function's first instruction.
    const std::uint64_t stack = ((now->general[Register::Rsp] - kBelowTheStack) & ~15ULL) - 8;
    const Frame frame = frame_of(*now, plan_.return_to);
    std::array<std::uint8_t, sizeof frame> bytes{};
    std::memcpy(bytes.data(), &frame, sizeof frame);
    StoppedRegisters called = *now;
    called.general[Register::Rdi] = static_cast<std::uint64_t>(plan_.signal);
    called.general[Register::Rsi] = kSentByKernel;
    called.general[Register::Rdx] = plan_.process.task;
    called.general[Register::Rcx] = kWholeProcess;
    called.general[Register::Rsp] = stack;
    called.eflags = kCleanFlags;
    called.rip = plan_.function;
    return let_go(called, bytes);
  }

  /// The frame first: it lies where nothing is in use. Then all registers at once, and away.
  SignalOutcome let_go(const StoppedRegisters &called, std::span<const std::uint8_t> frame) {
    auto done = remote_.send({gdb::write_memory(called.general[Register::Rsp], frame)});
    if (done) {
      done = remote_.expect_ok("writing the frame", soon());
    }
    if (!done) {
      return failed(done.error());
    }
    let_go_ = true;
    done = remote_.send({gdb::write_registers(called), gdb::kDetach});
    if (done) {
      done = remote_.expect_ok("writing registers", soon());
    }
    if (done) {
      done = remote_.expect_ok("detaching", soon());
    }
    if (done) {
      return {SignalStatus::Called, {}, {}, {}};
    }
    auto outcome = failed(done.error());
    outcome.reason += "; the kernel may have been called all the same";
    mend(outcome);
    return outcome;
  }

  /// nullptr: the processor stands where it was wanted.
  const char *unfit(const hypervisor::StopReply &stop, const StoppedRegisters &now) const {
    if (stop.signal != kBreakpointHit ||
        (now.rip != plan_.stop_at && (plan_.hurry_at == 0 || now.rip != plan_.hurry_at))) {
      return "the VM stopped elsewhere";
    }
    if ((now.eflags & kInterruptsOn) != 0 || (now.cs & kPrivilege) != 0) {
      return "the processor was not in an interrupt of the kernel";
    }
    if (!in_kernel(now.general[Register::Rsp]) || now.general[Register::Rsp] % 8 != 0) {
      return "the processor had no stack of the kernel";
    }
    return nullptr;
  }

  SignalOutcome check_identity() {
    for (const Patch &check : plan_.identity) {
      const auto holds = expectation_holds(control_, check);
      if (!holds) {
        return failed(holds.error());
      }
      if (!*holds) {
        return {SignalStatus::Mismatch, {}, {}, "the guest has moved on"};
      }
    }
    return {SignalStatus::Called, {}, {}, {}};
  }

  /// The VM runs again without a breakpoint, as it was.
  void back_out(SignalOutcome &outcome) {
    auto done = stands_ ? Result<void>() : remote_.interrupt(soon()).map([](const auto &) {});
    if (done) {
      done = remote_.send({gdb::kDetach});
    }
    if (done) {
      done = remote_.expect_ok("detaching", soon());
    }
    if (!done) {
      mend(outcome);
    }
  }
  void mend(SignalOutcome &outcome) {
    if (auto done = control_.mend_debugger(); !done) {
      outcome.reason += "; the VM may be left paused: " + done.error().message;
    }
  }

  hypervisor::VmControl &control_;
  const SignalPlan &plan_;
  const SignalLimits &limits_;
  GdbRemote &remote_;
  bool stands_ = false; ///< at a breakpoint, or since it was told to
  bool let_go_ = false; ///< what was said last lets it run
};

} // namespace

Result<void> validate_signal_plan(const SignalPlan &plan) {
  const auto refuse = [](const std::string &why) { return fail(ErrorCode::InvalidInput, why); };
  if (plan.signal != GuestSignal::Kill && plan.signal != GuestSignal::Stop &&
      plan.signal != GuestSignal::Continue) {
    return refuse("signal " + std::to_string(static_cast<int>(plan.signal)));
  }
  if (plan.process.pid <= 1 || !in_kernel(plan.process.task) || plan.process.task % 8 != 0) {
    return refuse("no process that may be signalled");
  }
  if (plan.identity.empty() || plan.identity.size() > kMostChecks) {
    return refuse("an identity of " + std::to_string(plan.identity.size()) + " checks");
  }
  for (const Patch &check : plan.identity) {
    const char *problem = problem_of(check);
    if (problem != nullptr || check.write_mask != 0) {
      return refuse(std::string("a check of the identity ") + (problem ? problem : "writes"));
    }
  }
  if (!in_kernel(plan.kernel_begin) || !in_kernel(plan.kernel_end) ||
      plan.kernel_end <= plan.kernel_begin ||
      plan.kernel_end - plan.kernel_begin > kMostTextBytes) {
    return refuse("no text of a kernel");
  }
  const auto in_text = [&](std::uint64_t address) {
    return address >= plan.kernel_begin && address < plan.kernel_end;
  };
  if (!in_text(plan.stop_at) || !in_text(plan.function) || !in_text(plan.return_to) ||
      (plan.hurry_at != 0 && (!in_text(plan.hurry_at) || plan.hurry_at == plan.stop_at))) {
    return refuse("a place outside the kernel's text");
  }
  return {};
}

SignalOutcome call_signal(hypervisor::VmControl &control, const SignalPlan &plan,
                          const std::function<void()> &on_touching, const SignalLimits &limits) {
  const auto start = monotonic_now();
  if (auto valid = validate_signal_plan(plan); !valid) {
    return {SignalStatus::Refused, {}, {}, valid.error().message};
  }
  if (on_touching) {
    on_touching();
  }
  const auto stood_before = control.stood();
  auto connection = control.open_debugger(first_words(plan));
  if (!connection) {
    const auto code = connection.error().code;
    if (code == ErrorCode::Refused || code == ErrorCode::Unsupported) {
      return {SignalStatus::Refused, {}, {}, connection.error().message};
    }
    SignalOutcome outcome{SignalStatus::Failed, {}, {}, connection.error().message};
    if (auto mended = control.mend_debugger(); !mended) { // QEMU may only have answered late
      outcome.reason += "; the VM may be left paused: " + mended.error().message;
    }
    return outcome;
  }
  GdbRemote remote(std::move(*connection));
  auto outcome = Call(control, plan, limits, remote).run();
  if (auto closed = control.close_debugger(); !closed) {
    outcome.reason += (outcome.reason.empty() ? "" : "; ") + closed.error().message;
  }
  outcome.paused = control.stood() - stood_before;
  outcome.took = monotonic_now() - start;
  return outcome;
}

SignalOutcome call_signal_guarded(hypervisor::VmControl &control, const SignalPlan &plan,
                                  const SignalLimits &limits) {
  GuardedWork work;
  work.carry_out = [&](const std::function<void()> &on_touching) {
    SignalOutcome outcome = call_signal(control, plan, on_touching, limits);
    return WorkReport{static_cast<std::uint8_t>(outcome.status), 0, outcome.paused, outcome.took,
                      std::move(outcome.reason)};
  };
  work.mend = [&] {
    control.start_over();
    return control.mend_debugger();
  };
  work.time = limits.hit + 4 * limits.answer;
  work.mended = "the VM runs without a breakpoint; the kernel may have been called";
  auto done = run_guarded(work);
  if (!done.report) {
    return {SignalStatus::Failed, {}, {}, std::move(done.trouble)};
  }
  return {static_cast<SignalStatus>(done.report->status), done.report->paused, done.report->took,
          std::move(done.report->reason)};
}

} // namespace outguard::respond
