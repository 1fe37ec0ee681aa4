#include "guest/linux/linux_guest.h"

#include <utility>

#include "guest/linux/attribution_engine.h"
#include "guest/linux/kernel_pulse.h"
#include "guest/linux/kill_planner.h"
#include "guest/linux/pending_signal_bit.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kFamilyEnd = 18; ///< where skc_state ends in every kernel since 5.10

tl::unexpected<GuestTrouble> trouble(GuestState state, std::string what, Fault fault) {
  return tl::unexpected(GuestTrouble{state, std::move(what), fault});
}

} // namespace

struct LinuxGuest::Parts {
  Parts(Kernel found, const LinuxLayout &bound, GuestVirtual init_task, WalkBudget call_budget)
      : kernel(std::move(found)), budget(call_budget), layout(bound), pulse(kernel),
        tasks(layout.task, layout.signal, init_task), clock(layout.clock, *kernel.symbols),
        processes(layout, tasks, clock), sockets(layout, tasks, *kernel.symbols),
        attribution(sockets, processes), killer(layout, tasks, pending_bit()) {}
  Parts(const Parts &) = delete;
  Parts &operator=(const Parts &) = delete;

  /// A walk starts with no remembered translation: they may have changed since the last one.
  [[nodiscard]] KernelReader reader() {
    kernel.space.forget();
    return {kernel.space, budget};
  }
  [[nodiscard]] std::optional<unsigned> pending_bit() {
    KernelReader once = reader();
    return find_pending_signal_bit(*kernel.symbols, layout.task.thread_flags.offset, once);
  }

  Kernel kernel;
  WalkBudget budget; ///< of one call; copied for each
  LinuxLayout layout;
  KernelPulse pulse;
  TaskList tasks;
  GuestClock clock;
  LinuxProcessWalker processes;
  LinuxSocketWalker sockets;
  AttributionEngine attribution;
  KillPlanner killer;
};

LinuxGuest::LinuxGuest(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LinuxGuest::LinuxGuest(LinuxGuest &&) noexcept = default;
LinuxGuest &LinuxGuest::operator=(LinuxGuest &&) noexcept = default;
LinuxGuest::~LinuxGuest() = default;

tl::expected<LinuxGuest, GuestTrouble> LinuxGuest::attach(Kernel kernel, WalkBudget call_budget) {
  auto layout = LinuxLayout::bind(*kernel.types);
  if (!layout) {
    return trouble(GuestState::Unreadable, "the kernel's types lack " + layout.error(),
                   {FaultCode::NotFound, 0});
  }
  const auto init_task = kernel.symbols->find("init_task");
  if (!init_task) {
    return trouble(GuestState::Unreadable, "the kernel's symbols lack init_task",
                   {FaultCode::NotFound, 0});
  }
  auto parts = std::make_unique<Parts>(std::move(kernel), *layout, *init_task, call_budget);
  parts->kernel.symbols.reset(); // all is looked up; the tables are several MiB
  parts->kernel.types.reset();
  return LinuxGuest(std::move(parts));
}

const KernelSeen &LinuxGuest::kernel() const {
  return parts_->kernel.seen;
}

tl::expected<void, GuestTrouble> LinuxGuest::self_check() {
  KernelReader reader = parts_->reader();
  const GuestVirtual init_task = parts_->tasks.init_task();
  const auto idle = parts_->tasks.read(init_task, reader);
  if (!idle) {
    return trouble(GuestState::Unreadable, "init_task cannot be read", idle.error());
  }
  constexpr std::string_view kIdleName = "swapper";
  if (idle->pid != 0 || !idle->name().raw().starts_with(kIdleName)) {
    return trouble(GuestState::Unreadable, "init_task is not the idle task",
                   {FaultCode::Malformed, init_task.raw()});
  }
  const std::uint32_t tasks_offset = parts_->layout.task.tasks.offset;
  const auto first = parts_->tasks.read(idle->tasks.next.minus_wrapping(tasks_offset), reader);
  if (!first || first->pid != 1 || first->mm.is_null()) {
    return trouble(GuestState::Booting, "pid 1 does not run a program yet",
                   first ? Fault{FaultCode::NotFound, 0} : first.error());
  }
  // These have not moved since 5.10: a layout that says otherwise was misread.
  const SocketLayout &socket = parts_->layout.socket;
  if (socket.remote_v4.offset != 0 || socket.local_v4.offset != 4 ||
      socket.state.offset > kFamilyEnd) {
    return trouble(GuestState::Unreadable, "sock_common has an unknown shape",
                   {FaultCode::Malformed, 0});
  }
  return {};
}

std::optional<std::uint64_t> LinuxGuest::beat() {
  KernelReader reader = parts_->reader();
  return parts_->pulse.beat(reader);
}

bool LinuxGuest::is_run_by(std::span<const CpuRegisters> registers) {
  KernelReader reader = parts_->reader();
  return parts_->pulse.is_run_by(registers, reader);
}

ProcessesSeen LinuxGuest::processes() {
  KernelReader reader = parts_->reader();
  return parts_->processes.walk(reader);
}

SocketsSeen LinuxGuest::sockets() {
  KernelReader reader = parts_->reader();
  return LinuxSocketWalker::to_seen(parts_->attribution.refresh(reader));
}

Result<ProcessDetail> LinuxGuest::describe(std::int32_t pid) {
  KernelReader reader = parts_->reader();
  return parts_->processes.detail(pid, reader);
}

Attribution LinuxGuest::attribute(const FlowTuple &tuple, WallTime packet_time) {
  KernelReader reader = parts_->reader();
  return parts_->attribution.attribute(tuple, packet_time, reader);
}

std::vector<Ancestor> LinuxGuest::ancestors(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  const auto task = parts_->tasks.find(process, reader);
  return task ? parts_->processes.ancestors(*task, reader) : std::vector<Ancestor>{};
}

tl::expected<WritePlan, KillRefusal> LinuxGuest::plan_kill(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->killer.plan(process, reader);
}

ProcessFate LinuxGuest::fate(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->killer.fate(process, reader);
}

} // namespace outguard::guest
