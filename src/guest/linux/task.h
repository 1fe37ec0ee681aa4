#pragma once
// One task_struct as it was copied: the members that the walkers use, as plain values. Not owned by
// anybody; good only as long as is_unchanged() says so.

#include <array>
#include <cstdint>

#include "facts/process_seen.h"
#include "guest/bytes/address.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/list_walk.h"

namespace outguard::guest {

struct Task {
  GuestVirtual address;
  std::int32_t pid = 0;
  std::int32_t tgid = 0;
  std::uint64_t start_boottime_ns = 0;
  std::uint64_t state = 0;
  std::uint64_t exit_state = 0;
  std::uint64_t flags = 0;
  std::array<char, 16> comm{};
  bool may_be_renamed = false; ///< comm may be half written: its lock was held
  GuestVirtual mm, files, fs, nsproxy, cred, parent, signal, sighand;
  GuestVirtual thread_pid, css_set; ///< null also where this kernel's types lack them
  ListLinks tasks;                  ///< among thread-group leaders
  ListLinks threads;                ///< among the threads of the group

  [[nodiscard]] bool is_kernel_thread() const;
  /// No other thread is left in the group: both links lead to the list's head.
  [[nodiscard]] bool is_alone() const { return threads.next == threads.back; }
  /// The whole group runs no more user code. A leader that ended before its threads has not exited.
  [[nodiscard]] bool has_exited() const { return exit_state != 0 && is_alone(); }
  /// As in /proc/PID/stat (fs/proc/array.c).
  [[nodiscard]] char state_letter() const;
  [[nodiscard]] ProcessIdentity identity() const {
    return {tgid, start_boottime_ns, address.raw()};
  }
  [[nodiscard]] GuestText name() const;
};

[[nodiscard]] Task decode_task(const ObjectCopy &copy, const TaskLayout &layout);

/// Reads the identifying members again: still the same task, in the same program (mm)?
[[nodiscard]] bool is_unchanged(const Task &task, KernelReader &reader, const TaskLayout &layout);

} // namespace outguard::guest
