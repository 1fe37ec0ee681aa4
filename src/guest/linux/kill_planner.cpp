#include "guest/linux/kill_planner.h"

#include <algorithm>

#include "guest/linux/patch_builder.h"

namespace outguard::guest {
namespace {

// include/linux/sched/signal.h and the ABI; the same from 5.10 to 6.12.
constexpr std::uint64_t kGroupExit = 4;                         // SIGNAL_GROUP_EXIT
constexpr std::uint64_t kKillSignalBit = std::uint64_t{1} << 8; // SIGKILL, the ninth
// include/linux/sched.h, of task_struct.state, which was __state from 5.14.
constexpr std::uint64_t kRunning = 0;
constexpr std::uint64_t kUninterruptible = 2;
constexpr std::uint64_t kStoppedOrTraced = 4 | 8;
constexpr std::uint64_t kIdle = 0x400; // TASK_NOLOAD: kernel threads wait so
constexpr std::size_t kPatchesOfThread = 3;

} // namespace

std::optional<KillRefusal> KillPlanner::refuses(const Task &leader) const {
  if (const auto refusal = refuses_signals(leader, tasks_.init_task())) {
    return refusal;
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

  PatchBuilder plan(reader);
  plan.expect_process(*leader, task);
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
  return plan.finish().map([&](std::vector<Patch> patches) {
    return WritePlan{leader->identity(), std::move(patches)};
  });
}

ProcessFate KillPlanner::fate(const ProcessIdentity &process, KernelReader &reader) const {
  const auto leader = tasks_.find(process, reader);
  if (!leader) {
    return leader.error().code == FaultCode::NotFound ? ProcessFate::Gone : ProcessFate::Unknown;
  }
  if (leader->has_exited()) {
    return ProcessFate::Exited;
  }
  Completeness completeness;
  const auto threads = tasks_.threads(*leader, reader, completeness);
  if (!completeness.complete() || threads.empty()) {
    return ProcessFate::Alive;
  }
  const auto waits = [](const Task &thread) {
    return (thread.state & kUninterruptible) != 0 && (thread.state & kIdle) == 0;
  };
  if (std::ranges::any_of(threads, waits)) {
    return ProcessFate::Uninterruptible;
  }
  const auto stands = [](const Task &thread) {
    return (thread.state & kStoppedOrTraced) != 0 || thread.exit_state != 0;
  };
  return std::ranges::all_of(threads, stands) ? ProcessFate::Stopped : ProcessFate::Alive;
}

} // namespace outguard::guest
