// execute_plan_guarded(): the child process around a plan.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "respond/plan_executor.h"

namespace outguard::respond {

namespace {

/// Longer than QEMU may take to answer (QemuControl) and the plan itself together.
constexpr std::chrono::milliseconds kChildTime{3000};

/// What the child tells, each message in one write below PIPE_BUF, so whole or not at all.
struct ChildReport {
  enum class Kind : std::uint8_t { Pausing, Finished };
  Kind kind = Kind::Pausing;
  PlanStatus status = PlanStatus::Failed;
  std::uint32_t index = 0;
  std::int64_t paused_ns = 0;
  std::array<char, 256> reason{};
};
static_assert(sizeof(ChildReport) < 512);

void tell(int pipe, const ChildReport &report) {
  // The reader may be gone: then nobody is left to tell.
  (void)!::write(pipe, &report, sizeof report);
}

/// Never returns. Uses of the parent only what no other thread can have locked: malloc is fork-safe
/// in glibc, and nothing here logs (PausedVm would only if it were let go without resume()).
[[noreturn]] void run_child(int pipe, hypervisor::VmControl &control, const WritePlan &plan) {
  // A service manager stops the whole group: this short life goes on to its end.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    (void)::signal(number, SIG_IGN);
  }
  const PlanOutcome outcome = execute_plan(control, plan, [&] { tell(pipe, {}); });
  ChildReport report;
  report.kind = ChildReport::Kind::Finished;
  report.status = outcome.status;
  report.index = outcome.index;
  report.paused_ns = outcome.paused.count();
  std::memcpy(report.reason.data(), outcome.reason.data(),
              std::min(outcome.reason.size(), report.reason.size() - 1));
  tell(pipe, report);
  ::_exit(0);
}

/// nullopt: the child is gone, or the time is over.
std::optional<ChildReport> listen(int pipe, MonotonicTime deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now()).count();
    pollfd waiting{pipe, POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left));
    if (ready == 0) {
      return std::nullopt;
    }
    ChildReport report;
    const ssize_t got = ready < 0 ? -1 : ::read(pipe, &report, sizeof report);
    if (got == static_cast<ssize_t>(sizeof report)) {
      return report;
    }
    if (got >= 0 || errno != EINTR) {
      return std::nullopt;
    }
  }
}

} // namespace

PlanOutcome execute_plan_guarded(hypervisor::VmControl &control, const WritePlan &plan) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return {PlanStatus::Failed, 0, {}, fail_errno("pipe").value().message};
  }
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    return {PlanStatus::Failed, 0, {}, fail_errno("fork").value().message};
  }
  if (child == 0) {
    run_child(writing.get(), control, plan);
  }
  writing.reset();

  const auto deadline = monotonic_now() + kChildTime;
  bool pausing = false;
  auto report = listen(reading.get(), deadline);
  if (report && report->kind == ChildReport::Kind::Pausing) {
    pausing = true;
    report = listen(reading.get(), deadline);
  }
  if (!report) {
    (void)::kill(child, SIGKILL); // not reaped yet, so the number is still its own
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (report) {
    report->reason.back() = '\0';
    return {report->status, report->index, std::chrono::nanoseconds(report->paused_ns),
            report->reason.data()};
  }
  PlanOutcome outcome{PlanStatus::Failed, 0, {}, "the process that carries out plans died"};
  if (pausing) {
    const auto resumed = control.resume();
    outcome.reason += resumed ? "; the VM was resumed, the plan may be done in part"
                              : "; the VM may be left paused: " + resumed.error().message;
  }
  return outcome;
}

} // namespace outguard::respond
