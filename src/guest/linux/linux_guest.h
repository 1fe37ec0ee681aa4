#pragma once
// A Linux guest, attached to: the entry to this folder. Owns the kernel's symbols and types; does
// not own the MemoryReader beneath, which must outlive it. One thread at a time. No call waits:
// each reads guest memory within a fixed budget and returns.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "facts/flow_seen.h"
#include "facts/kernel_seen.h"
#include "facts/process_detail.h"
#include "facts/write_plan.h"
#include "guest/bytes/walk_budget.h"
#include "guest/linux/file_hasher.h"
#include "guest/linux/guest_trouble.h"
#include "guest/linux/kernel_integrity.h"
#include "guest/linux/kernel_pulse.h"
#include "guest/linux/kill_refusal.h"
#include "guest/linux/memory_map_walker.h"
#include "guest/linux/process_files.h"
#include "guest/linux/signal_planner.h"
#include "guest/linux/view_scope.h"
#include "guest/linux/walk_results.h"
#include "guest/memory/cpu_registers.h"
#include "guest/symbols/kernel.h"

namespace outguard::guest {

class LinuxGuest {
public:
  /// The bound of one call: reads and bytes; a socket table reads what it found once more. A read
  /// takes about 1 us through process memory. An honest guest needs about 5 reads a socket and 10 a
  /// process, so this is some 100,000 of them. Reads of page tables are not counted: next to none
  /// in the kernel's direct map, up to five a read where a hostile kernel scatters its objects.
  static constexpr WalkBudget kCallBudget{600'000, std::uint64_t{256} << 20};

  /// Binds every offset once. Fails with the name of the first member that this kernel lacks.
  [[nodiscard]] static tl::expected<LinuxGuest, GuestTrouble>
  attach(Kernel kernel, WalkBudget call_budget = kCallBudget);

  LinuxGuest(LinuxGuest &&) noexcept;
  LinuxGuest &operator=(LinuxGuest &&) noexcept;
  ~LinuxGuest();

  [[nodiscard]] const KernelSeen &kernel() const;
  /// What this guest cannot be asked for, and why; see feature_gaps.h.
  [[nodiscard]] const std::vector<std::string> &gaps() const;

  /// Does memory read as this kernel says it should? See self_check.h; cheap, ask again after
  /// trouble.
  [[nodiscard]] tl::expected<void, GuestTrouble> self_check();

  /// Does this kernel's time go on, does its memory grow; and do the CPUs still run it?
  [[nodiscard]] Pulse pulse();
  /// Does the kernel's own code print what /proc shows? See kernel_integrity.h; cheap.
  [[nodiscard]] KernelIntegrity::Findings integrity();
  [[nodiscard]] bool is_run_by(std::span<const CpuRegisters> registers);

  /// With views beyond the task list, rows say which views have them; see cross_views.h.
  [[nodiscard]] ProcessesSeen processes(ViewScope scope = ViewScope::None);
  [[nodiscard]] SocketsSeen sockets();
  /// Those of every family, and every way to hold one.
  [[nodiscard]] SocketsSeen all_sockets();

  /// One process in depth. NotFound: no process has this pid.
  [[nodiscard]] Result<ProcessDetail> describe(std::int32_t pid);

  /// What is mapped into it. NotFound: it is gone, or this kernel's types do not say.
  [[nodiscard]] Result<MapsSeen> maps(const ProcessIdentity &process);

  /// The files that it runs code of, its descriptors, its environment. NotFound: likewise.
  [[nodiscard]] Result<CodeFilesFound> code_files(const ProcessIdentity &process);
  [[nodiscard]] Result<FilesSeen> open_files(const ProcessIdentity &process);
  [[nodiscard]] Result<ArgumentsFound> environment(const ProcessIdentity &process);

  /// The file that it runs. NotFound: it is gone or runs none, or this kernel's types do not say.
  [[nodiscard]] Result<CachedFile> executable(const ProcessIdentity &process);
  /// For a file of executable(): step() hashes a slice of it, 1 MiB in a few milliseconds, and says
  /// whether there is more to do. Not to be used beyond this guest's life.
  /// `copy`: see file_hasher.h.
  [[nodiscard]] FileHasher hasher(const CachedFile &file, std::uint64_t most_bytes,
                                  std::span<std::uint8_t> copy = {}) const;
  [[nodiscard]] bool step(FileHasher &hasher);
  /// All of it at once: up to a second.
  static constexpr std::uint64_t kMostHashedBytes = std::uint64_t{256} << 20;
  [[nodiscard]] FileHash hash_executable(const ProcessIdentity &process);

  /// Whose flow this is. `packet_time` is the host's wall clock at the flow's first packet: a table
  /// read after it is good enough, an older one is read again. `began`: when this flow did, if its
  /// first packet was seen; who had these ends before is no answer then, not even a cached one.
  /// Leaves latency_ns to the caller.
  [[nodiscard]] Attribution attribute(const FlowTuple &tuple, WallTime packet_time,
                                      WallTime began = {});
  /// The same where it takes no new table of everything, which others would wait for. nullopt: it
  /// does.
  [[nodiscard]] std::optional<Attribution>
  attribute_at_once(const FlowTuple &tuple, WallTime packet_time, WallTime began = {});

  /// The host's wall clock was set, so that no table's age is known. attribute() notices by itself.
  void wall_clock_was_set();

  /// An attribution given earlier, of the same processes as they are now; see LinuxProcessWalker.
  void bring_up_to_date(Attribution &attribution);

  /// Patches that make SIGKILL pending in every thread that a plan has room for, each with its
  /// check. Good for the moment only: execute with the VM paused, at once; best made while it is
  /// paused.
  [[nodiscard]] tl::expected<WritePlan, KillRefusal> plan_kill(const ProcessIdentity &process);
  /// A call of the kernel's own signal function; good for the moment only.
  [[nodiscard]] tl::expected<SignalPlan, SignalRefusal> plan_signal(const ProcessIdentity &process,
                                                                    GuestSignal signal);
  [[nodiscard]] ProcessFate fate(const ProcessIdentity &process);

private:
  struct Parts;
  explicit LinuxGuest(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

} // namespace outguard::guest
