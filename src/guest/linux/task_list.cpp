#include "guest/linux/task_list.h"

namespace outguard::guest {
namespace {

constexpr int kMostPasses = 3; ///< over a list that moved too much under one

bool is_same(const Task &task, const ProcessIdentity &identity) {
  return task.tgid == identity.pid && task.pid == identity.pid &&
         task.start_boottime_ns == identity.start_boottime_ns;
}

} // namespace

std::vector<Task> TaskList::follow(GuestVirtual head, const Member &node, KernelReader &reader,
                                   Completeness &completeness) const {
  std::vector<Task> tasks;
  const auto first = reader.pointer(head);
  if (!first) {
    completeness.lost(first.error());
    return tasks;
  }
  ListWalk walk(reader, head, *first, head);
  ObjectCopy copy(layout_.extent);
  while (walk.next(copy, node, completeness)) {
    tasks.push_back(decode_task(copy, layout_));
  }
  return tasks;
}

std::vector<Task> TaskList::leaders(KernelReader &reader, Completeness &completeness) const {
  const GuestVirtual head = init_task_.plus_wrapping(layout_.tasks.offset);
  std::vector<Task> best;
  Completeness outcome;
  for (int pass = 0; pass < kMostPasses; ++pass) {
    Completeness now;
    auto tasks = follow(head, layout_.tasks, reader, now);
    if (pass == 0 || now.complete() || tasks.size() > best.size()) {
      best = std::move(tasks);
      outcome = now;
    }
    if (outcome.complete() || outcome.reason == PartialReason::BudgetExhausted) {
      break;
    }
  }
  if (!outcome.complete()) {
    completeness.lost(outcome.reason, outcome.fault);
  }
  if (unlisted_ != nullptr) {
    for (const GuestVirtual address : unlisted_->find(best, reader)) {
      if (const auto task = read(address, reader)) {
        best.push_back(*task);
      }
    }
  }
  reader.renew(); // what the tasks point to is read after them
  return best;
}

std::vector<Task> TaskList::threads(const Task &leader, KernelReader &reader,
                                    Completeness &completeness) const {
  if (leader.is_alone()) {
    return {leader};
  }
  return follow(leader.signal.plus_wrapping(signal_.thread_head.offset), layout_.thread_node,
                reader, completeness);
}

Result<Task> TaskList::read(GuestVirtual address, KernelReader &reader) const {
  ObjectCopy copy(layout_.extent);
  if (const auto loaded = copy.load(reader, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return decode_task(copy, layout_);
}

bool TaskList::is_linked(const Task &leader, KernelReader &reader) const {
  const auto next_of_previous = reader.pointer(leader.tasks.back);
  return next_of_previous &&
         *next_of_previous == leader.address.plus_wrapping(layout_.tasks.offset);
}

Result<Task> TaskList::find(const ProcessIdentity &identity, KernelReader &reader) const {
  const auto there = read(GuestVirtual(identity.task), reader);
  if (there && is_same(*there, identity) &&
      (is_linked(*there, reader) ||
       (unlisted_ != nullptr && unlisted_->is_attached(there->address, reader)))) {
    return there;
  }
  Completeness completeness;
  for (const Task &task : leaders(reader, completeness)) {
    if (is_same(task, identity)) {
      return task;
    }
  }
  if (!completeness.complete()) {
    return tl::unexpected(completeness.fault);
  }
  return fault(FaultCode::NotFound, identity.task);
}

} // namespace outguard::guest
