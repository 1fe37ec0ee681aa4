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

struct Ancestor {
  std::int32_t pid = 0;
  GuestText comm;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.pid, self.comm);
  }
};

/// Who a process acts as: ids as the root user namespace sees them, capability sets as
/// /proc/PID/status prints them.
struct Credentials {
  std::uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0;
  std::uint32_t gid = 0, egid = 0, sgid = 0, fsgid = 0;
  std::uint64_t inheritable = 0, permitted = 0, effective = 0, bounding = 0, ambient = 0;

  friend bool operator==(const Credentials &, const Credentials &) = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.uid, self.euid, self.suid, self.fsuid, self.gid, self.egid, self.sgid, self.fsgid,
         self.inheritable, self.permitted, self.effective, self.bounding, self.ambient);
  }
};

/// Inode numbers, as `readlink /proc/PID/ns/NAME` prints them. nullopt: could not be read, or this
/// kernel has no such namespace.
struct NamespacesSeen {
  std::optional<std::uint64_t> mnt, pid, net, ipc, uts, user, cgroup, time;

  friend bool operator==(const NamespacesSeen &, const NamespacesSeen &) = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.mnt, self.pid, self.net, self.ipc, self.uts, self.user, self.cgroup, self.time);
  }
};

/// The places a process can be found in. They agree for every process of an honest guest.
enum class ProcessView : std::uint8_t {
  TaskList,   ///< init_task.tasks, what most tools follow
  PidTable,   ///< the pid IDR of its namespaces: what the guest's own /proc lists
  ThreadList, ///< signal_struct.thread_head leads to it
  RunQueue,   ///< a CPU runs it or has it queued
  Cgroup,     ///< a css_set's task list has it
  ParentList, ///< its parent's children
  Scan,       ///< found in RAM by its shape alone, on request
};
inline constexpr std::size_t kProcessViews = 7;
/// "task_list", "pid_table", ...
[[nodiscard]] const char *to_string(ProcessView view);

/// A set of views, a bit each.
class ViewSet {
public:
  void add(ProcessView view) { bits_ |= bit(view); }
  [[nodiscard]] bool has(ProcessView view) const { return (bits_ & bit(view)) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }

  friend bool operator==(const ViewSet &, const ViewSet &) = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.bits_); }

private:
  static std::uint8_t bit(ProcessView view) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(view));
  }
  std::uint8_t bits_ = 0;
};

struct ProcessSeen {
  ProcessIdentity identity;
  std::optional<std::int32_t> ppid;
  GuestText comm;
  std::optional<GuestText> exe; ///< as readlink /proc/PID/exe prints it, without " (deleted)"
  std::optional<bool> exe_deleted;
  /// What it ran when its flow began, where it has executed another program since, or what it runs
  /// now cannot be read: all else is of now. Only in an alert.
  std::optional<GuestText> earlier_exe;
  std::optional<std::vector<GuestText>> cmdline; ///< arguments; empty for a kernel thread
  bool cmdline_cut = false; ///< longer than is read: these are its first arguments
  std::optional<Credentials> credentials;
  std::optional<std::int64_t> start_time_ns; ///< wall clock, ns since the epoch (guest's clock)
  NamespacesSeen namespaces;
  std::optional<std::int32_t> namespace_pid; ///< its pid in its own pid namespace
  std::optional<std::uint32_t> threads;      ///< how many
  std::optional<GuestText> cgroup;           ///< path in the cgroup v2 (else: systemd's) hierarchy
  std::optional<GuestText> container; ///< its runtime's id, out of the cgroup path; empty: in none
  std::optional<GuestText> unit;      ///< systemd unit, out of the cgroup path; empty: in none
  ViewSet views_asked;                ///< empty: nobody compared views
  ViewSet views_seen;                 ///< of those asked, the ones that have it
  std::optional<bool> hidden;         ///< a view that must have it has it not; null: not compared
  bool kernel_thread = false;
  bool exited = false; ///< zombie or dead: runs no more code
  char state = '?';    ///< letter of /proc/PID/stat
  bool torn = false;   ///< changed while it was read, also after retries

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.identity, self.ppid, self.comm, self.exe, self.exe_deleted, self.earlier_exe,
         self.cmdline, self.cmdline_cut, self.credentials, self.start_time_ns, self.namespaces,
         self.namespace_pid, self.threads, self.cgroup, self.container, self.unit, self.views_asked,
         self.views_seen, self.hidden, self.kernel_thread, self.exited, self.state, self.torn);
  }
};

} // namespace outguard
