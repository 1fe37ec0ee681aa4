#include "guest/linux/process_walker.h"

#include <algorithm>

#include "guest/linux/argument_reader.h"

namespace outguard::guest {
namespace {

constexpr int kMostRetries = 3;
constexpr std::size_t kMostAncestors = 64; ///< deeper trees exist only to be funny
constexpr std::size_t kMostThreads = 2048; ///< told of one process: they fit one message
constexpr std::int32_t kInitPid = 1;

/// All that was followed for a row still leads to the same objects, so none of them was freed.
bool is_led_alike(const Task &now, const Task &before) {
  return now.identity() == before.identity() && now.pid == before.pid && now.mm == before.mm &&
         now.parent == before.parent && now.cred == before.cred && now.nsproxy == before.nsproxy &&
         now.signal == before.signal;
}

} // namespace

std::optional<PathPoint> LinuxProcessWalker::root_of(const Task &task, KernelReader &reader) const {
  ObjectCopy fs(layout_.process.fs);
  if (task.fs.is_null() || !fs.load(reader, task.fs)) {
    return std::nullopt;
  }
  return PathPoint{fs.pointer(layout_.process.fs_root_mount),
                   fs.pointer(layout_.process.fs_root_dentry)};
}

LinuxProcessWalker::Shared LinuxProcessWalker::shared_of_walk(KernelReader &reader) const {
  Shared shared{clock_.boot_time_ns(reader), std::nullopt, {}};
  // pid 1 is the oldest task: the one behind pid 0.
  const auto first = reader.pointer(tasks_.init_task().plus_wrapping(layout_.task.tasks.offset));
  if (!first) {
    return shared;
  }
  const auto init = tasks_.read(first->minus_wrapping(layout_.task.tasks.offset), reader);
  if (init && init->pid == kInitPid) {
    shared.root = root_of(*init, reader);
  }
  return shared;
}

bool LinuxProcessWalker::read_program(const Task &task, const Shared &shared, KernelReader &reader,
                                      ProcessSeen &seen) const {
  ObjectCopy mm(layout_.process.mm);
  if (!mm.load(reader, task.mm)) {
    return false;
  }
  auto arguments =
      read_arguments(mm.pointer(layout_.process.mm_pgd), mm.pointer(layout_.process.mm_arg_start),
                     mm.pointer(layout_.process.mm_arg_end), reader);
  if (arguments) {
    seen.cmdline = std::move(arguments->words);
    seen.cmdline_cut = arguments->cut;
  }
  ObjectCopy file(layout_.file.file);
  const GuestVirtual exe = mm.pointer(layout_.process.mm_exe_file);
  if (!shared.root || exe.is_null() || !file.load(reader, exe)) {
    return true;
  }
  auto path =
      paths_.read({file.pointer(layout_.file.path_mount), file.pointer(layout_.file.path_dentry)},
                  *shared.root, reader);
  if (path) {
    seen.exe = std::move(path->path);
    seen.exe_deleted = path->deleted;
  }
  const auto exe_now =
      reader.pointer(task.mm.plus_wrapping(layout_.process.mm_exe_file.offset)); // prctl can set it
  return exe_now && *exe_now == exe;
}

ProcessSeen LinuxProcessWalker::read_once(const Task &task, const ContextLinks &links,
                                          Shared &shared, KernelReader &reader) const {
  ProcessSeen seen;
  seen.identity = task.identity();
  seen.comm = task.name();
  seen.kernel_thread = task.is_kernel_thread();
  seen.exited = task.has_exited();
  seen.state = task.state_letter();
  if (shared.boot_time_ns) {
    seen.start_time_ns = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(*shared.boot_time_ns) + task.start_boottime_ns);
  }
  ObjectCopy parent(layout_.task.identity);
  if (parent.load(reader, task.parent)) {
    seen.ppid = parent.signed_number(layout_.task.tgid);
  } else {
    seen.torn = true;
  }
  ObjectCopy signal(layout_.signal.signal);
  if (signal.load(reader, task.signal)) {
    seen.threads = static_cast<std::uint32_t>(signal.number(layout_.signal.nr_threads));
  }
  context_.read(task, links, shared.context, reader, seen);
  if (seen.kernel_thread || task.mm.is_null()) {
    seen.cmdline.emplace(); // as /proc has it: there, and empty
  } else if (!read_program(task, shared, reader, seen)) {
    seen.torn = true;
  }
  return seen;
}

Result<ProcessSeen> LinuxProcessWalker::row(Task task, Shared &shared, KernelReader &reader) const {
  for (int attempt = 0;; ++attempt) {
    const ContextLinks links = context_.links(task.address, reader);
    ProcessSeen seen = read_once(task, links, shared, reader);
    const Extent &extent = layout_.task.extent; // read after all that hangs on the task
    reader.renew(task.address.plus_wrapping(extent.begin), extent.size());
    const auto again = tasks_.read(task.address, reader);
    if (!again) {
      return tl::unexpected(again.error());
    }
    const bool is_same =
        is_led_alike(*again, task) && context_.links(task.address, reader) == links;
    if (is_same && !seen.torn) {
      return seen;
    }
    if (again->identity() != task.identity()) {
      return fault(FaultCode::NotFound, task.address.raw());
    }
    if (attempt == kMostRetries) {
      seen.torn = true;
      return seen;
    }
    shared.context.forget(); // a new object may stand where one that was read has been freed
    reader.renew();          // likewise
    task = *again;
  }
}

ProcessSeen LinuxProcessWalker::describe_or_remember(const Task &leader,
                                                     KernelReader &reader) const {
  Shared shared = shared_of_walk(reader);
  auto now = row(leader, shared, reader);
  if (now) {
    return std::move(*now);
  }
  ProcessSeen seen;
  seen.identity = leader.identity();
  seen.comm = leader.name();
  seen.kernel_thread = leader.is_kernel_thread();
  seen.exited = now.error().code == FaultCode::NotFound;
  seen.torn = !seen.exited;
  return seen;
}

Result<ProcessDetail> LinuxProcessWalker::detail(std::int32_t pid, KernelReader &reader) const {
  Completeness completeness;
  const auto leaders = tasks_.leaders(reader, completeness);
  const auto leader = std::ranges::find(leaders, pid, &Task::tgid);
  if (leader == leaders.end()) {
    return completeness.complete() ? fault(FaultCode::NotFound, 0)
                                   : tl::unexpected(completeness.fault);
  }
  Shared shared = shared_of_walk(reader);
  auto process = row(*leader, shared, reader);
  if (!process) {
    return tl::unexpected(process.error());
  }
  ProcessDetail detail;
  detail.process = std::move(*process);
  detail.ancestors = ancestors(*leader, reader);
  Completeness threads_seen;
  for (const Task &thread : tasks_.threads(*leader, reader, threads_seen)) {
    if (detail.threads.size() == kMostThreads) {
      threads_seen.lost({FaultCode::LimitReached, thread.address.raw()});
      break;
    }
    detail.threads.push_back({thread.pid, thread.name(), thread.state_letter()});
  }
  detail.process.torn = detail.process.torn || !threads_seen.complete();
  return detail;
}

ProcessesSeen LinuxProcessWalker::walk(KernelReader &reader) const {
  ProcessesSeen seen;
  Shared shared = shared_of_walk(reader);
  for (const Task &task : tasks_.leaders(reader, seen.completeness)) {
    if (auto process = row(task, shared, reader)) {
      if (process->torn) {
        seen.completeness.lost(PartialReason::KeptChanging,
                               {FaultCode::NotFound, task.address.raw()});
      }
      seen.processes.push_back(std::move(*process));
    } else if (process.error().code != FaultCode::NotFound) {
      seen.completeness.lost(process.error());
    }
  }
  if (const auto cut = reader.cut_short()) {
    seen.completeness.lost(*cut);
  }
  return seen;
}

std::vector<Ancestor> LinuxProcessWalker::ancestors(const Task &task, KernelReader &reader) const {
  std::vector<Ancestor> found;
  GuestVirtual parent = task.parent;
  while (found.size() < kMostAncestors && reader.step()) {
    const auto thread = tasks_.read(parent, reader);
    if (!thread || thread->tgid == 0) {
      break;
    }
    found.push_back({thread->tgid, thread->name()});
    if (thread->tgid == kInitPid) {
      break;
    }
    parent = thread->parent;
  }
  return found;
}

} // namespace outguard::guest
