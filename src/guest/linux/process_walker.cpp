#include "guest/linux/process_walker.h"

#include <algorithm>
#include <utility>

#include "guest/linux/argument_reader.h"
#include "guest/linux/process_root.h"

namespace outguard::guest {
namespace {

constexpr int kMostRetries = 3;
constexpr std::size_t kMostAncestors = 64; ///< deeper trees exist only to be funny
constexpr std::size_t kMostThreads = 2048; ///< told of one process: they fit one message
constexpr std::int32_t kInitPid = 1;

bool is_led_alike(const Task &now, const Task &before) {
  return now.identity() == before.identity() && now.pid == before.pid && now.mm == before.mm &&
         now.parent == before.parent && now.cred == before.cred && now.nsproxy == before.nsproxy &&
         now.signal == before.signal && now.thread_pid == before.thread_pid &&
         now.css_set == before.css_set;
}

/// A name that is half written when it is read first is whole when it is read again, or its lock
/// was held in between.
bool is_named_alike(const Task &now, const Task &before) {
  return now.comm == before.comm && !now.may_be_renamed && !before.may_be_renamed;
}

} // namespace

LinuxProcessWalker::Shared LinuxProcessWalker::shared_of_walk(KernelReader &reader) const {
  return {clock_.boot_time_ns(reader), root_of_guest(tasks_, layout_, reader), {}};
}

Result<LinuxProcessWalker::Program> LinuxProcessWalker::program_of(const Task &task,
                                                                   KernelReader &reader) const {
  ObjectCopy mm(layout_.process.mm);
  if (const auto loaded = mm.load(reader, task.mm); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return Program{mm.pointer(layout_.process.mm_pgd), mm.pointer(layout_.process.mm_arg_start),
                 mm.pointer(layout_.process.mm_arg_end), mm.pointer(layout_.process.mm_exe_file)};
}

void LinuxProcessWalker::read_program(Shared &shared, KernelReader &reader, Draft &draft) const {
  ProcessSeen &seen = draft.seen;
  const auto program = program_of(draft.task, reader);
  if (!program) {
    seen.torn = true;
    return;
  }
  draft.program = *program;
  auto arguments =
      read_arguments(program->page_table, program->arg_start, program->arg_end, reader);
  if (arguments) {
    seen.cmdline = std::move(arguments->words);
    seen.cmdline_cut = arguments->cut;
  }
  ObjectCopy file(layout_.file.file);
  if (!shared.root || program->exe.is_null() || !file.load(reader, program->exe)) {
    return;
  }
  auto path =
      paths_.read({file.pointer(layout_.file.path_mount), file.pointer(layout_.file.path_dentry)},
                  *shared.root, reader);
  if (path) {
    seen.exe = std::move(path->path);
    seen.exe_deleted = path->deleted;
  }
}

LinuxProcessWalker::Draft LinuxProcessWalker::read_once(const Task &task, Shared &shared,
                                                        KernelReader &reader) const {
  Draft draft{task, {}, {}};
  ProcessSeen &seen = draft.seen;
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
  context_.read(task, shared.context, reader, seen);
  if (seen.kernel_thread || task.mm.is_null()) {
    seen.cmdline.emplace(); // as /proc has it: there, and empty
  } else {
    read_program(shared, reader, draft);
  }
  return draft;
}

Result<bool> LinuxProcessWalker::still_holds(Draft &draft, KernelReader &reader) const {
  const auto now = tasks_.read(draft.task.address, reader);
  if (!now) {
    return tl::unexpected(now.error());
  }
  const Task before = std::exchange(draft.task, *now);
  if (now->identity() != before.identity()) {
    return fault(FaultCode::NotFound, now->address.raw());
  }
  if (draft.seen.torn || !is_led_alike(*now, before) || !is_named_alike(*now, before)) {
    return false;
  }
  if (!draft.program) {
    return true;
  }
  // An mm_struct that was freed and given out again lies where the old one was; prctl can change
  // it.
  const auto program = program_of(*now, reader);
  return program && *program == *draft.program;
}

Result<ProcessSeen> LinuxProcessWalker::row(Task task, Shared &shared, KernelReader &reader) const {
  for (int attempt = 0;; ++attempt) {
    Draft draft = read_once(task, shared, reader);
    reader.renew(task.address.plus_wrapping(layout_.task.extent.begin), layout_.task.extent.size());
    reader.renew(task.mm.plus_wrapping(layout_.process.mm.begin), layout_.process.mm.size());
    const auto holds = still_holds(draft, reader);
    if (!holds) {
      return tl::unexpected(holds.error());
    }
    if (!*holds && attempt < kMostRetries) {
      if (draft.task.may_be_renamed) {
        reader.nap();
      }
      shared.context.forget(); // a new object may stand where one that was read has been freed
      reader.renew();          // likewise
      task = draft.task;
      continue;
    }
    draft.seen.torn = !*holds;
    return std::move(draft.seen);
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
  auto [ancestors, cut] = lineage(*leader, reader);
  detail.ancestors = std::move(ancestors);
  detail.ancestors_cut = cut;
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

/// All are read once, then all are looked at again: two generations of memory for everybody, not
/// for each. Who changed in between is read anew by itself.
ProcessesSeen LinuxProcessWalker::walk(KernelReader &reader) const {
  ProcessesSeen seen;
  Shared shared = shared_of_walk(reader);
  const auto leaders = tasks_.leaders(reader, seen.completeness);
  std::vector<Draft> drafts;
  drafts.reserve(leaders.size());
  for (const Task &task : leaders) {
    drafts.push_back(read_once(task, shared, reader));
  }
  reader.renew();
  std::vector<Result<bool>> looks;
  looks.reserve(drafts.size());
  for (Draft &draft : drafts) {
    looks.push_back(still_holds(draft, reader));
  }
  shared.context.forget();
  seen.processes.reserve(drafts.size());
  for (std::size_t index = 0; index < drafts.size(); ++index) {
    Draft &draft = drafts[index];
    auto process = looks[index].and_then([&](bool holds) -> Result<ProcessSeen> {
      return holds ? std::move(draft.seen) : row(draft.task, shared, reader);
    });
    if (process) {
      if (process->torn) {
        seen.completeness.lost(PartialReason::KeptChanging,
                               {FaultCode::NotFound, draft.task.address.raw()});
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

Lineage LinuxProcessWalker::lineage(const Task &task, KernelReader &reader) const {
  Lineage found;
  for (GuestVirtual parent = task.parent;;) {
    const auto thread = found.ancestors.size() < kMostAncestors && reader.step()
                            ? tasks_.read(parent, reader)
                            : fault(FaultCode::LimitReached, parent.raw());
    if (!thread || thread->tgid == 0) { // the idle task started pid 1 and kthreadd
      found.cut = !thread;
      return found;
    }
    found.ancestors.push_back({thread->tgid, thread->name()});
    if (thread->tgid == kInitPid) {
      return found;
    }
    parent = thread->parent;
  }
}

void LinuxProcessWalker::bring_up_to_date(Attribution &attribution, KernelReader &reader) const {
  for (ProcessSeen &process : attribution.processes) {
    const auto task = tasks_.find(process.identity, reader);
    if (!task) {
      continue;
    }
    if (&process == &attribution.processes.front()) {
      auto [ancestors, cut] = lineage(*task, reader);
      attribution.ancestors = std::move(ancestors);
      attribution.ancestors_cut = cut;
    }
    ProcessSeen now = describe_or_remember(*task, reader);
    // do_exit() lets go of the memory, then closes the sockets; only then it counts as ended.
    const auto last = tasks_.read(task->address, reader);
    const bool is_ending = !last || (last->mm.is_null() && !last->is_kernel_thread());
    if (now.exited || now.torn || is_ending) {
      continue;
    }
    const bool is_another = process.exe && process.exe != now.exe;
    now.earlier_exe = std::move(is_another ? process.exe : process.earlier_exe);
    process = std::move(now);
  }
}

} // namespace outguard::guest
