#pragma once
// One process as the sensor read it. Unknown is nullopt, never a made-up value.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/guest_text.h"

namespace outguard {

/// Who a process is, across reads: the pid may be used again, the pair is not.
struct ProcessIdentity {
  std::int32_t pid = 0;                ///< thread-group id in the root pid namespace
  std::uint64_t start_boottime_ns = 0; ///< task_struct.start_boottime of the group leader
  std::uint64_t task = 0;              ///< guest virtual address of the leader's task_struct

  auto operator<=>(const ProcessIdentity &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.pid, self.start_boottime_ns, self.task);
  }
};

struct ProcessSeen {
  ProcessIdentity identity;
  std::int32_t ppid = 0;
  GuestText comm;
  std::optional<GuestText> exe; ///< as readlink /proc/PID/exe prints it, without " (deleted)"
  std::optional<bool> exe_deleted;
  std::optional<std::vector<GuestText>> cmdline; ///< arguments; empty for a kernel thread
  std::optional<std::uint32_t> uid;              ///< real uid, as the root user namespace sees it
  std::optional<std::int64_t> start_time_ns;     ///< wall clock, ns since the epoch (guest's clock)
  std::optional<std::uint64_t> netns;            ///< inode of the network namespace
  std::optional<GuestText> container;            ///< later
  std::optional<bool> hidden;                    ///< later: seen in one view and missing in another
  bool kernel_thread = false;
  bool exited = false; ///< zombie or dead: runs no more code
  char state = '?';    ///< letter of /proc/PID/stat
  bool torn = false;   ///< changed while it was read, also after retries

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.identity, self.ppid, self.comm, self.exe, self.exe_deleted, self.cmdline, self.uid,
         self.start_time_ns, self.netns, self.container, self.hidden, self.kernel_thread,
         self.exited, self.state, self.torn);
  }
};

} // namespace outguard
