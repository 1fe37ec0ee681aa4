#include "guest/linux/kill_planner.h"

#include <algorithm>

namespace outguard::guest {
namespace {

// include/linux/sched/signal.h and the ABI; the same from 5.10 to 6.12.
constexpr std::uint64_t kGroupExit = 4;                         // SIGNAL_GROUP_EXIT
constexpr std::uint64_t kKillSignalBit = std::uint64_t{1} << 8; // SIGKILL, the ninth
constexpr std::int32_t kInitPid = 1;
constexpr std::uint64_t kRunning = 0; // TASK_RUNNING
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::size_t kPatchesOfThread = 3;

std::uint64_t full_mask(std::uint32_t bytes) {
  return bytes >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << bytes * 8) - 1;
}

/// Collects patches; remembers the first thing that could not be said.
class PlanBuilder {
public:
  PlanBuilder(const ProcessIdentity &process, KernelReader &reader) : reader_(reader) {
    plan_.process = process;
  }

  void expect(GuestVirtual object, const Member &member, std::uint64_t value) {
    add(object, member, full_mask(member.size), value, 0, 0);
  }
  void set_bit(GuestVirtual object, const Member &member, std::uint64_t bit) {
    add(object, member, 0, 0, bit, bit);
  }

  [[nodiscard]] bool has_room_for(std::size_t patches) const {
    return plan_.patches.size() + patches <= kMaxPatches;
  }

  [[nodiscard]] tl::expected<WritePlan, KillRefusal> finish() {
    if (trouble_) {
      return tl::unexpected(*trouble_);
    }
    return std::move(plan_);
  }

private:
  void add(GuestVirtual object, const Member &member, std::uint64_t expect_mask,
           std::uint64_t expected, std::uint64_t write_mask, std::uint64_t value) {
    const GuestVirtual address = object.plus_wrapping(member.offset);
    const auto physical = reader_.space().translate(address);
    if (!physical || address.raw() % kPageBytes + member.size > kPageBytes) {
      trouble_ = trouble_.value_or(KillRefusal::Unreadable);
      return;
    }
    plan_.patches.push_back({physical->raw(), static_cast<std::uint8_t>(member.size), expect_mask,
                             expected, write_mask, value});
  }

  KernelReader &reader_;
  WritePlan plan_;
  std::optional<KillRefusal> trouble_;
};

} // namespace

const char *to_string(KillRefusal refusal) {
  switch (refusal) {
  case KillRefusal::NoSuchProcess:
    return "no such process";
  case KillRefusal::InitProcess:
    return "the guest's init process";
  case KillRefusal::KernelThread:
    return "a kernel thread";
  case KillRefusal::AlreadyExiting:
    return "already exiting";
  case KillRefusal::LockHeld:
    return "signal lock held, try again";
  case KillRefusal::Unsupported:
    return "not supported on this kernel";
  case KillRefusal::Unreadable:
    return "memory unreadable";
  }
  return "unknown";
}

std::optional<KillRefusal> KillPlanner::refuses(const Task &leader) const {
  if (leader.tgid <= kInitPid || leader.address == tasks_.init_task()) {
    return KillRefusal::InitProcess;
  }
  if (leader.is_kernel_thread()) {
    return KillRefusal::KernelThread;
  }
  if (leader.has_exited() || leader.sighand.is_null()) {
    return KillRefusal::AlreadyExiting;
  }
  const auto is_number = [](const Member &member) { return member.size == 8; };
  if (!layout_.signal.lock || !pending_signal_bit_ || !is_number(layout_.task.thread_flags) ||
      !is_number(layout_.task.pending)) {
    return KillRefusal::Unsupported;
  }
  return std::nullopt;
}

tl::expected<WritePlan, KillRefusal> KillPlanner::plan(const ProcessIdentity &process,
                                                       KernelReader &reader) const {
  const auto leader = tasks_.find(process, reader);
  if (!leader) {
    return tl::unexpected(leader.error().code == FaultCode::NotFound ? KillRefusal::NoSuchProcess
                                                                     : KillRefusal::Unreadable);
  }
  if (const auto refusal = refuses(*leader)) {
    return tl::unexpected(*refusal);
  }
  const TaskLayout &task = layout_.task;
  const SignalLayout &signal = layout_.signal;
  const Member &lock = *signal.lock;
  Extent lock_extent{lock.offset, lock.offset + lock.size};
  ObjectCopy shared(signal.signal), sighand(lock_extent);
  if (!shared.load(reader, leader->signal) || !sighand.load(reader, leader->sighand)) {
    return tl::unexpected(KillRefusal::Unreadable);
  }
  if (sighand.number(lock) != 0) {
    return tl::unexpected(KillRefusal::LockHeld);
  }
  if ((shared.number(signal.flags) & kGroupExit) != 0) {
    return tl::unexpected(KillRefusal::AlreadyExiting);
  }
  Completeness completeness;
  auto threads = tasks_.threads(*leader, reader, completeness);
  if (!completeness.complete() || threads.size() != shared.number(signal.nr_threads)) {
    return tl::unexpected(KillRefusal::Unreadable);
  }

  PlanBuilder plan(leader->identity(), reader);
  plan.expect(leader->address, task.pid, static_cast<std::uint32_t>(leader->pid));
  plan.expect(leader->address, task.tgid, static_cast<std::uint32_t>(leader->tgid));
  plan.expect(leader->address, task.start_boottime, leader->start_boottime_ns);
  plan.expect(leader->address, task.signal, leader->signal.raw());
  plan.expect(leader->sighand, lock, 0);
  plan.expect(leader->signal, signal.flags, shared.number(signal.flags));
  plan.expect(leader->signal, signal.nr_threads, threads.size());
  // The first thread that takes the signal ends the group: where not all fit, those that run now.
  std::ranges::stable_sort(threads, {}, [](const Task &each) { return each.state != kRunning; });
  for (const Task &thread : threads) {
    if (!plan.has_room_for(kPatchesOfThread)) {
      break;
    }
    // A released thread has no sighand any more; its memory may be another's by now.
    plan.expect(thread.address, task.sighand, leader->sighand.raw());
    plan.set_bit(thread.address, task.pending, kKillSignalBit);
    plan.set_bit(thread.address, task.thread_flags, std::uint64_t{1} << *pending_signal_bit_);
  }
  return plan.finish();
}

ProcessFate KillPlanner::fate(const ProcessIdentity &process, KernelReader &reader) const {
  const auto leader = tasks_.find(process, reader);
  if (!leader) {
    return leader.error().code == FaultCode::NotFound ? ProcessFate::Gone : ProcessFate::Unknown;
  }
  return leader->has_exited() ? ProcessFate::Exited : ProcessFate::Alive;
}

} // namespace outguard::guest
