#include "guest/linux/linux_guest.h"

#include <utility>

#include "guest/linux/attribution_engine.h"
#include "guest/linux/feature_gaps.h"
#include "guest/linux/kill_planner.h"
#include "guest/linux/pending_signal_bit.h"
#include "guest/linux/process_files.h"
#include "guest/linux/process_views.h"
#include "guest/linux/self_check.h"
#include "guest/memory/page_store.h"

namespace outguard::guest {
namespace {

tl::unexpected<GuestTrouble> trouble(GuestState state, std::string what, Fault fault) {
  return tl::unexpected(GuestTrouble{state, std::move(what), fault});
}

/// From here on the kernel is read through it.
std::unique_ptr<PageStore> keep_pages(Kernel &kernel) {
  MemoryReader &memory = kernel.space.memory();
  if (!memory.is_costly()) {
    return nullptr;
  }
  auto pages = std::make_unique<PageStore>(memory);
  kernel.space = AddressSpace(*pages, kernel.space.root(), kernel.space.levels());
  return pages;
}

} // namespace

struct LinuxGuest::Parts {
  Parts(Kernel found, const LinuxLayout &bound, GuestVirtual init_task, WalkBudget call_budget)
      : kernel(std::move(found)), pages(keep_pages(kernel)), budget(call_budget), layout(bound),
        pulse(kernel), unlisted(*kernel.types, *kernel.symbols, init_task),
        tasks(layout.task, layout.signal, init_task), self_check(kernel, layout, tasks),
        clock(layout.clock, *kernel.symbols), processes(layout, *kernel.types, tasks, clock),
        sockets(layout, tasks, *kernel.types, *kernel.symbols),
        attribution(sockets, processes, FlowLookup(layout, tasks, *kernel.types, *kernel.symbols)),
        killer(layout, tasks, pending_bit()), signaller(make_signaller()),
        files(*kernel.types, *kernel.symbols, layout, tasks),
        views(*kernel.types, *kernel.symbols, tasks, processes),
        integrity(*kernel.types, *kernel.symbols),
        gaps(feature_gaps(*kernel.types, *kernel.symbols, layout)) {
    tasks.also_find(&unlisted);
  }
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

  [[nodiscard]] SignalPlanner make_signaller() {
    KernelReader once = reader();
    return {layout, tasks, *kernel.symbols, once};
  }

  Kernel kernel;
  std::unique_ptr<PageStore> pages; ///< before memory whose reads are costly; else null
  WalkBudget budget;                ///< of one call; copied for each
  LinuxLayout layout;
  KernelPulse pulse;
  UnlistedProcesses unlisted;
  TaskList tasks;
  SelfCheck self_check;
  GuestClock clock;
  LinuxProcessWalker processes;
  LinuxSocketWalker sockets;
  AttributionEngine attribution;
  KillPlanner killer;
  SignalPlanner signaller;
  ProcessFiles files;
  ProcessViews views;
  KernelIntegrity integrity;
  std::vector<std::string> gaps;
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

const std::vector<std::string> &LinuxGuest::gaps() const {
  return parts_->gaps;
}

tl::expected<void, GuestTrouble> LinuxGuest::self_check() {
  KernelReader reader = parts_->reader();
  return parts_->self_check.run(reader);
}

Pulse LinuxGuest::pulse() {
  KernelReader reader = parts_->reader();
  return parts_->pulse.read(reader);
}

bool LinuxGuest::is_run_by(std::span<const CpuRegisters> registers) {
  KernelReader reader = parts_->reader();
  return parts_->pulse.is_run_by(registers, reader);
}

KernelIntegrity::Findings LinuxGuest::integrity() {
  KernelReader reader = parts_->reader();
  return parts_->integrity.check(reader);
}

ProcessesSeen LinuxGuest::processes(ViewScope scope) {
  KernelReader reader = parts_->reader();
  ProcessesSeen seen = parts_->processes.walk(reader);
  KernelReader again = parts_->reader(); // with a budget of its own
  parts_->views.compare(scope, seen, again);
  return seen;
}

SocketsSeen LinuxGuest::sockets() {
  KernelReader reader = parts_->reader();
  return parts_->attribution.refresh(reader).to_seen();
}

SocketsSeen LinuxGuest::all_sockets() {
  KernelReader reader = parts_->reader();
  return parts_->sockets.walk(reader, SocketScope::All).to_seen();
}

Result<ProcessDetail> LinuxGuest::describe(std::int32_t pid) {
  KernelReader reader = parts_->reader();
  return parts_->processes.detail(pid, reader);
}

Result<MapsSeen> LinuxGuest::maps(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->files.maps(process, reader);
}

Result<CachedFile> LinuxGuest::executable(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->files.executable(process, reader);
}

Result<CodeFilesFound> LinuxGuest::code_files(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->files.code(process, reader);
}

Result<FilesSeen> LinuxGuest::open_files(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->files.open_files(process, reader);
}

Result<ArgumentsFound> LinuxGuest::environment(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->files.environment(process, reader);
}

FileHasher LinuxGuest::hasher(const CachedFile &file, std::uint64_t most_bytes,
                              std::span<std::uint8_t> copy) const {
  return parts_->files.hasher(file, most_bytes, copy);
}

bool LinuxGuest::step(FileHasher &hasher) {
  KernelReader reader = parts_->reader();
  return hasher.step(reader);
}

FileHash LinuxGuest::hash_executable(const ProcessIdentity &process) {
  const auto file = executable(process);
  if (!file) {
    return {};
  }
  FileHasher hashing = hasher(*file, kMostHashedBytes);
  while (step(hashing)) {
  }
  return hashing.result();
}

Attribution LinuxGuest::attribute(const FlowTuple &tuple, WallTime packet_time, WallTime began) {
  KernelReader reader = parts_->reader();
  return parts_->attribution.attribute(tuple, packet_time, began, reader);
}

std::optional<Attribution> LinuxGuest::attribute_at_once(const FlowTuple &tuple,
                                                         WallTime packet_time, WallTime began) {
  KernelReader reader = parts_->reader();
  return parts_->attribution.attribute_at_once(tuple, packet_time, began, reader);
}

void LinuxGuest::wall_clock_was_set() {
  parts_->attribution.forget_ages();
}

void LinuxGuest::bring_up_to_date(Attribution &attribution) {
  KernelReader reader = parts_->reader();
  parts_->processes.bring_up_to_date(attribution, reader);
}

tl::expected<WritePlan, KillRefusal> LinuxGuest::plan_kill(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->killer.plan(process, reader);
}

tl::expected<SignalPlan, SignalRefusal> LinuxGuest::plan_signal(const ProcessIdentity &process,
                                                                GuestSignal signal) {
  KernelReader reader = parts_->reader();
  return parts_->signaller.plan(process, signal, reader);
}

ProcessFate LinuxGuest::fate(const ProcessIdentity &process) {
  KernelReader reader = parts_->reader();
  return parts_->killer.fate(process, reader);
}

} // namespace outguard::guest
