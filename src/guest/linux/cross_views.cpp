#include "guest/linux/cross_views.h"

#include <algorithm>
#include <array>
#include <set>

namespace outguard::guest {
namespace {

constexpr int kMostPasses = 6;

/// Of a lock's word, not 0 while a writer (qrwlock) or anybody (qspinlock) holds it; the same since
/// 4.2 (include/asm-generic/qrwlock_types.h, qspinlock_types.h).
constexpr std::uint64_t kHeldMask = 0xff;

constexpr std::array kForLeaders = {ProcessView::TaskList, ProcessView::PidTable,
                                    ProcessView::ThreadList, ProcessView::ParentList};
constexpr std::array kForThreads = {ProcessView::PidTable, ProcessView::ThreadList};
/// Those whose silence says something; a sleeping process is on no run queue.
constexpr std::array kTellingViews = {ProcessView::TaskList, ProcessView::PidTable,
                                      ProcessView::ThreadList, ProcessView::ParentList,
                                      ProcessView::Cgroup};
constexpr std::array kAllViews = {
    ProcessView::TaskList, ProcessView::PidTable,   ProcessView::ThreadList, ProcessView::RunQueue,
    ProcessView::Cgroup,   ProcessView::ParentList, ProcessView::Scan};

} // namespace

/// One look at all views.
class CrossViews::Pass {
public:
  Pass(const CrossViews &views, KernelReader &reader)
      : views_(views), layout_(*views.layout_), reader_(reader), tasks_(layout_, reader) {}

  void look(const Leads &leads);
  /// What the look says, whatever it is worth.
  [[nodiscard]] std::map<GuestVirtual, ViewsOfProcess> judge();

  /// A view that broke off says nothing of what it lacks.
  [[nodiscard]] bool is_whole(ProcessView view) const {
    return usable_.has(view) && outcome_of(view).complete();
  }
  [[nodiscard]] const Completeness &outcome_of(ProcessView view) const {
    return outcomes_[static_cast<std::size_t>(view)];
  }

private:
  [[nodiscard]] Completeness &outcome(ProcessView view) {
    return outcomes_[static_cast<std::size_t>(view)];
  }
  void follow(ProcessView view, GuestVirtual head, GuestVirtual first, TaskNode node);
  void mark(ProcessView view, GuestVirtual task);
  void look_at_pids();
  void look_at_queues();
  void look_at_cgroups();
  /// Threads, children and cgroups of every task, also of those found on the way.
  void look_around();
  void look_at_set(GuestVirtual set);
  [[nodiscard]] ViewSet required_of(const ViewTask &task, bool group_lives) const;

  const CrossViews &views_;
  const ViewLayout &layout_;
  KernelReader &reader_;
  ViewTasks tasks_;
  ViewSet usable_;
  std::array<Completeness, kProcessViews> outcomes_;
  std::set<GuestVirtual> groups_, sets_; ///< signal_structs and css_sets looked at
};

void CrossViews::Pass::mark(ProcessView view, GuestVirtual task) {
  if (const auto found = tasks_.get(task)) {
    (*found)->seen_in.add(view);
  } else if (found.error().code == FaultCode::LimitReached) {
    outcome(view).lost(found.error());
  }
}

void CrossViews::Pass::follow(ProcessView view, GuestVirtual head, GuestVirtual first,
                              TaskNode node) {
  const std::uint32_t offset = layout_.node(node)->offset;
  ListWalk walk(reader_, head, first, head);
  bool fresh = false;
  while (const auto at = walk.node(outcome(view))) {
    const GuestVirtual address = at->minus_wrapping(offset);
    const auto task = fresh ? tasks_.renew(address) : tasks_.get(address);
    if (!task) {
      walk.give_up(task.error(), outcome(view));
      return;
    }
    const bool accepted = walk.accept((*task)->links_in(node), outcome(view));
    fresh = !accepted; // the copy is older than the list
    if (accepted) {
      (*task)->seen_in.add(view);
    }
  }
}

void CrossViews::Pass::look_at_pids() {
  if (!views_.pids_) {
    return;
  }
  usable_.add(ProcessView::PidTable);
  for (const auto &[number, pid] : views_.pids_->walk(reader_, outcome(ProcessView::PidTable))) {
    const auto found = pid.task.is_null() ? fault(FaultCode::NotFound) : tasks_.get(pid.task);
    if (!found) {
      continue; // nobody's number any more, or not yet
    }
    ViewTask &task = **found;
    // A process's number must lead to it both as a thread's and as a process's: /proc and kill(2)
    // look for the latter.
    if (pid.is_listed_everywhere() && task.number == number &&
        (!task.is_leader() || pid.leader == task.address)) {
      task.seen_in.add(ProcessView::PidTable);
    }
  }
}

void CrossViews::Pass::look_at_queues() {
  if (!views_.queues_) {
    return;
  }
  usable_.add(ProcessView::RunQueue);
  const auto seen = views_.queues_->read(reader_, outcome(ProcessView::RunQueue));
  for (const GuestVirtual task : seen.running) {
    mark(ProcessView::RunQueue, task);
  }
  for (const auto &queue : seen.queues) {
    if (layout_.node(queue.node)) {
      follow(ProcessView::RunQueue, queue.head, queue.first, queue.node);
    }
  }
}

void CrossViews::Pass::look_at_set(GuestVirtual set) {
  if (set.is_null() || !sets_.insert(set).second) {
    return;
  }
  const auto heads = views_.sets_->heads_of(set, reader_);
  if (!heads) {
    outcome(ProcessView::Cgroup).lost(heads.error());
    return;
  }
  for (const auto &list : *heads) {
    follow(ProcessView::Cgroup, list.head, list.first, TaskNode::Cgroup);
  }
}

void CrossViews::Pass::look_at_cgroups() {
  if (!views_.sets_ || !layout_.node(TaskNode::Cgroup)) {
    return;
  }
  usable_.add(ProcessView::Cgroup);
  for (const GuestVirtual set : views_.sets_->walk(reader_, outcome(ProcessView::Cgroup))) {
    look_at_set(set);
  }
}

void CrossViews::Pass::look_around() {
  usable_.add(ProcessView::ThreadList);
  usable_.add(ProcessView::ParentList);
  for (std::size_t next = 0; next < tasks_.addresses().size(); ++next) {
    const auto found = tasks_.get(tasks_.addresses()[next]);
    if (!found) {
      continue;
    }
    const ViewTask task = **found; // what follows may read it again
    static_cast<void>(tasks_.get(task.leader));
    if (groups_.insert(task.signal).second) {
      const GuestVirtual head = task.signal.plus_wrapping(layout_.thread_head);
      if (const auto first = reader_.pointer(head)) {
        follow(ProcessView::ThreadList, head, *first, TaskNode::Thread);
      } else {
        outcome(ProcessView::ThreadList).lost(first.error());
      }
    }
    const GuestVirtual head = task.address.plus_wrapping(layout_.children.offset);
    if (task.children.next != head) {
      follow(ProcessView::ParentList, head, task.children.next, TaskNode::Sibling);
    }
    if (usable_.has(ProcessView::Cgroup)) {
      look_at_set(task.css_set);
    }
  }
}

void CrossViews::Pass::look(const Leads &leads) {
  usable_.add(ProcessView::TaskList);
  if (const auto idle = tasks_.get(views_.init_task_)) {
    const Member &node = *layout_.node(TaskNode::Tasks);
    follow(ProcessView::TaskList, views_.init_task_.plus_wrapping(node.offset),
           (*idle)->links_in(TaskNode::Tasks).next, TaskNode::Tasks);
  } else {
    outcome(ProcessView::TaskList).lost(idle.error());
  }
  look_at_pids();
  look_at_queues();
  look_at_cgroups();
  for (const auto &[view, task] : leads) {
    mark(view, task);
  }
  look_around();
}

ViewSet CrossViews::Pass::required_of(const ViewTask &task, bool group_lives) const {
  ViewSet required;
  const auto require = [&](ProcessView view) {
    if (is_whole(view) || task.seen_in.has(view)) {
      required.add(view);
    }
  };
  if (task.is_leader() && group_lives) {
    for (const ProcessView view : kForLeaders) {
      require(view);
    }
  } else if (task.lives()) {
    for (const ProcessView view : kForThreads) {
      require(view);
    }
  }
  if (task.lives() && !task.is_ending()) {
    require(ProcessView::Cgroup);
  }
  return required;
}

std::map<GuestVirtual, ViewsOfProcess> CrossViews::Pass::judge() {
  std::map<GuestVirtual, std::vector<const ViewTask *>> groups;
  for (const GuestVirtual address : tasks_.addresses()) {
    const auto task = tasks_.get(address);
    if (task && (*task)->pid > 0 && (*task)->tgid > 0) { // 0: what a CPU does when idle
      groups[(*task)->leader].push_back(*task);
    }
  }
  std::map<GuestVirtual, ViewsOfProcess> processes;
  for (const auto &[address, members] : groups) {
    const auto leader = tasks_.get(address);
    if (!leader || !(*leader)->is_leader()) {
      continue; // an exec makes another thread the leader just now
    }
    bool lives = false;
    for (const ViewTask *member : members) {
      lives = lives || member->lives();
    }
    ViewsOfProcess process{(*leader)->identity(), {}, {}, false};
    ViewSet lacking;
    for (const ViewTask *member : members) {
      const ViewSet required = required_of(*member, lives);
      for (const ProcessView view : kAllViews) {
        if (required.has(view) || member->seen_in.has(view)) {
          process.asked.add(view);
        }
        if (required.has(view) && !member->seen_in.has(view)) {
          lacking.add(view);
        }
      }
    }
    for (const ProcessView view : kAllViews) {
      if (process.asked.has(view) && !lacking.has(view)) {
        process.seen.add(view);
      }
    }
    process.hidden = !lacking.empty();
    processes.emplace(address, process);
  }
  return processes;
}

CrossViews::CrossViews(const TypeTable &types, const SymbolTable &symbols, GuestVirtual init_task)
    : init_task_(init_task) {
  const auto bind = [&](const char *view, auto &part, auto make) {
    std::string missing;
    part = make(missing);
    if (!part) {
      lacking_.push_back(std::string(view) + ": the kernel lacks " + missing);
    }
  };
  bind("tasks", layout_, [&](auto &missing) { return ViewLayout::bind(types, missing); });
  bind("pid_table", pids_, [&](auto &missing) { return PidTable::bind(types, symbols, missing); });
  bind("run_queue", queues_,
       [&](auto &missing) { return RunQueues::bind(types, symbols, missing); });
  bind("cgroup", sets_, [&](auto &missing) { return CssSets::bind(types, symbols, missing); });
  for (const auto &[lock, type] :
       {std::pair("tasklist_lock", "qrwlock"), std::pair("css_set_lock", "qspinlock")}) {
    const auto word = symbols.find(lock);
    if (word && types.size_of(type)) {
      locks_.push_back(*word);
    } else {
      lacking_.push_back(std::string("hidden: the kernel lacks ") + (word ? type : lock));
      may_tell_ = false; // nor could a half-done change be told from a hidden process
    }
  }
}

bool CrossViews::is_changing(KernelReader &reader) const {
  return !may_tell_ || std::ranges::any_of(locks_, [&](GuestVirtual lock) {
    const auto word = reader.pointer(lock);
    return !word || (word->raw() & kHeldMask) != 0;
  });
}

/// Is in neither look where it must be.
bool CrossViews::is_missed_twice(const ViewsOfProcess &now, const ViewsOfProcess &before) {
  const auto lacks = [](const ViewsOfProcess &process, ProcessView view) {
    return process.asked.has(view) && !process.seen.has(view);
  };
  return now.identity == before.identity &&
         std::ranges::any_of(kTellingViews, [&](ProcessView view) {
           return lacks(now, view) && lacks(before, view);
         });
}

ViewsCompared CrossViews::compare(const Leads &leads, KernelReader &reader) const {
  ViewsCompared result;
  if (!layout_) {
    result.completeness.lost(PartialReason::TableUnknown, {FaultCode::NotFound, 0});
    return result;
  }
  std::map<GuestVirtual, ViewsOfProcess> before;
  for (int attempt = 0; attempt < kMostPasses && !reader.budget().exhausted(); ++attempt) {
    reader.renew();
    const bool changed_before = is_changing(reader);
    Pass pass(*this, reader);
    pass.look(leads);
    result = {pass.judge(), {}};
    reader.renew();
    const bool settled = !changed_before && !is_changing(reader);
    bool decided = true;
    for (auto &[address, process] : result.processes) {
      if (!*process.hidden) {
        continue;
      }
      const auto earlier = before.find(address);
      if (!settled || earlier == before.end() || !is_missed_twice(process, earlier->second)) {
        process.hidden.reset();
        decided = false;
      }
    }
    for (const ProcessView view : kTellingViews) {
      const Completeness &outcome = pass.outcome_of(view);
      if (!outcome.complete()) {
        result.completeness.lost(outcome.reason, outcome.fault);
      }
    }
    if (decided && result.completeness.complete()) {
      break;
    }
    before = settled ? result.processes : std::map<GuestVirtual, ViewsOfProcess>{};
  }
  if (const auto cut = reader.cut_short()) {
    result.completeness.lost(*cut); // perhaps before the first look
  }
  return result;
}

} // namespace outguard::guest
