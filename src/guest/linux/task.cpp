#include "guest/linux/task.h"

#include <algorithm>
#include <bit>

namespace outguard::guest {
namespace {

// include/linux/sched.h; unchanged from 5.10 to 6.12, and macros, so not in BTF.
constexpr std::uint64_t kKernelThreadFlag = 0x0020'0000; // PF_KTHREAD
constexpr std::uint64_t kReportedStates = 0x7f;          // TASK_REPORT
constexpr std::uint64_t kIdle = 0x402;                   // TASK_UNINTERRUPTIBLE | TASK_NOLOAD
constexpr std::uint64_t kRealTimeLockWait = 0x1000;      // TASK_RTLOCK_WAIT, since 5.15
constexpr std::array<char, 9> kStateLetters = {'R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'};

} // namespace

bool Task::is_kernel_thread() const {
  return (flags & kKernelThreadFlag) != 0;
}

char Task::state_letter() const {
  if ((state & kIdle) == kIdle) {
    return kStateLetters.back();
  }
  if ((state & kRealTimeLockWait) != 0) {
    return 'D';
  }
  return kStateLetters[static_cast<std::size_t>(
      std::bit_width((state | exit_state) & kReportedStates))];
}

GuestText Task::name() const {
  return GuestText(std::string(comm.begin(), std::find(comm.begin(), comm.end(), '\0')));
}

Task decode_task(const ObjectCopy &copy, const TaskLayout &layout) {
  Task task;
  task.address = copy.address();
  task.pid = copy.signed_number(layout.pid);
  task.tgid = copy.signed_number(layout.tgid);
  task.start_boottime_ns = copy.number(layout.start_boottime);
  task.state = copy.number(layout.state);
  task.exit_state = copy.number(layout.exit_state);
  task.flags = copy.number(layout.flags);
  std::ranges::copy(copy.bytes(layout.comm), task.comm.begin());
  task.may_be_renamed = layout.name_lock && copy.number(*layout.name_lock) != 0;
  task.mm = copy.pointer(layout.mm);
  task.files = copy.pointer(layout.files);
  task.fs = copy.pointer(layout.fs);
  task.nsproxy = copy.pointer(layout.nsproxy);
  task.cred = copy.pointer(layout.real_cred);
  task.parent = copy.pointer(layout.real_parent);
  task.signal = copy.pointer(layout.signal);
  task.sighand = copy.pointer(layout.sighand);
  task.thread_pid = layout.thread_pid ? copy.pointer(*layout.thread_pid) : GuestVirtual{};
  task.css_set = layout.css_set ? copy.pointer(*layout.css_set) : GuestVirtual{};
  task.tasks = links_of(copy, layout.tasks);
  task.threads = links_of(copy, layout.thread_node);
  return task;
}

bool is_unchanged(const Task &task, KernelReader &reader, const TaskLayout &layout) {
  ObjectCopy now(layout.identity);
  reader.renew(task.address.plus_wrapping(layout.identity.begin), layout.identity.size());
  const bool same = now.load(reader, task.address) && now.signed_number(layout.pid) == task.pid &&
                    now.signed_number(layout.tgid) == task.tgid &&
                    now.number(layout.start_boottime) == task.start_boottime_ns &&
                    now.pointer(layout.mm) == task.mm;
  if (!same) {
    reader.renew(); // for who reads it all again
  }
  return same;
}

} // namespace outguard::guest
