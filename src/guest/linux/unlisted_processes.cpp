#include "guest/linux/unlisted_processes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "guest/linux/list_walk.h"

namespace outguard::guest {
namespace {

/// Reads for what nobody listed: threads' numbers, mostly. Others need what is left of the budget.
constexpr std::size_t kMostForeign = std::size_t{1} << 16;
constexpr std::size_t kMostFound = 4096; ///< who hides more hides nothing

} // namespace

UnlistedProcesses::UnlistedProcesses(const TypeTable &types, const SymbolTable &symbols,
                                     GuestVirtual init_task)
    : init_task_(init_task) {
  std::string missing;
  pids_ = PidTable::bind(types, symbols, missing);
  missing.clear();
  StructBinder task(types, "task_struct", missing);
  leader_ = task.pointer("group_leader");
  number_ = task.pointer("thread_pid");
  sighand_ = task.pointer("sighand");
  exit_state_ = task.number("exit_state");
  children_ = task.bytes("children", kListLinkBytes);
  sibling_ = task.bytes("sibling", kListLinkBytes);
  kin_ = task.extent();
  bound_ = missing.empty();
}

std::optional<UnlistedProcesses::Kin> UnlistedProcesses::read(GuestVirtual task,
                                                              KernelReader &reader) const {
  ObjectCopy copy(kin_);
  if (!bound_ || !copy.load(reader, task)) {
    return std::nullopt;
  }
  Kin kin;
  kin.leader = copy.pointer(leader_);
  kin.number = copy.pointer(number_);
  kin.sighand = copy.pointer(sighand_);
  kin.first_child = links_of(copy, children_).next;
  kin.next_sibling = links_of(copy, sibling_).next;
  kin.lives = copy.number(exit_state_) == 0 && !kin.sighand.is_null(); // null: it was released
  return kin;
}

/// One search. Lists are followed by their forward links alone: what a change under us hides or
/// repeats is found by the next search, and whoever is found is looked at by itself.
class UnlistedProcesses::Search {
public:
  Search(const UnlistedProcesses &from, KernelReader &reader) : from_(from), reader_(reader) {}

  /// Those that are listed, all at once.
  void know(std::span<const Task> listed);
  void ask_parents();
  void ask_numbers();
  [[nodiscard]] std::vector<GuestVirtual> finish() { return std::move(found_); }

private:
  /// A task not known so far: a process of its own, and alive?
  void meet(GuestVirtual task);
  [[nodiscard]] bool has_room() {
    return foreign_ < kMostForeign && found_.size() < kMostFound && !reader_.budget().exhausted();
  }

  struct Known {
    GuestVirtual task;
    Kin kin;
    bool is_child = false; ///< somebody's list of children has led to it
  };
  [[nodiscard]] Known *find(GuestVirtual task);

  const UnlistedProcesses &from_;
  KernelReader &reader_;
  std::vector<Known> listed_;         ///< sorted by task
  std::vector<GuestVirtual> numbers_; ///< sorted: their struct pids
  std::map<GuestVirtual, Known> met_; ///< nearly always none
  std::vector<GuestVirtual> found_;
  std::size_t foreign_ = 0;
};

void UnlistedProcesses::Search::know(std::span<const Task> listed) {
  const auto add = [this](GuestVirtual task) {
    if (const auto kin = from_.read(task, reader_)) {
      listed_.push_back({task, *kin});
      numbers_.push_back(kin->number);
    }
  };
  listed_.reserve(listed.size() + 1);
  numbers_.reserve(listed.size() + 1);
  add(from_.init_task_);
  std::ranges::for_each(listed, add, &Task::address);
  std::ranges::sort(listed_, {}, &Known::task);
  std::ranges::sort(numbers_);
}

UnlistedProcesses::Search::Known *UnlistedProcesses::Search::find(GuestVirtual task) {
  const auto at = std::ranges::lower_bound(listed_, task, {}, &Known::task);
  if (at != listed_.end() && at->task == task) {
    return &*at;
  }
  const auto met = met_.find(task);
  return met != met_.end() ? &met->second : nullptr;
}

void UnlistedProcesses::Search::meet(GuestVirtual task) {
  ++foreign_;
  const auto kin = from_.read(task, reader_);
  if (!kin || !met_.try_emplace(task, Known{task, *kin}).second) {
    return;
  }
  if (kin->lives && kin->leader == task && from_.is_attached(task, reader_)) {
    found_.push_back(task);
  }
}

void UnlistedProcesses::Search::ask_parents() {
  std::vector<const Known *> parents; // what they point to stays: listed_ grows no more
  for (const Known &known : listed_) {
    parents.push_back(&known);
  }
  for (const auto &[task, known] : met_) {
    parents.push_back(&known);
  }
  for (std::size_t next = 0; next < parents.size() && has_room(); ++next) { // grows
    const GuestVirtual head = parents[next]->task.plus_wrapping(from_.children_.offset);
    GuestVirtual node = parents[next]->kin.first_child;
    while (node != head && has_room()) {
      const GuestVirtual task = node.minus_wrapping(from_.sibling_.offset);
      Known *child = find(task);
      if (child == nullptr) {
        meet(task);
        child = find(task);
        if (child == nullptr) {
          break; // cannot be read
        }
        parents.push_back(child);
      }
      if (std::exchange(child->is_child, true)) {
        break; // another's list, or a circle
      }
      node = child->kin.next_sibling;
    }
  }
}

void UnlistedProcesses::Search::ask_numbers() {
  if (!from_.pids_) {
    return;
  }
  Completeness unused; // who is listed was found; this only adds
  for (const GuestVirtual number : from_.pids_->slots(reader_, unused)) {
    if (std::ranges::binary_search(numbers_, number) || !has_room()) {
      continue;
    }
    ++foreign_;
    const auto pid = from_.pids_->read(number, reader_);
    if (pid && !pid->leader.is_null() && find(pid->leader) == nullptr) {
      meet(pid->leader);
    }
  }
}

std::vector<GuestVirtual> UnlistedProcesses::find(std::span<const Task> listed,
                                                  KernelReader &reader) const {
  if (!bound_) {
    return {};
  }
  Search search(*this, reader);
  search.know(listed);
  search.ask_numbers();
  search.ask_parents();
  return search.finish();
}

bool UnlistedProcesses::is_attached(GuestVirtual task, KernelReader &reader) const {
  const auto kin = read(task, reader);
  if (!kin || !kin->lives || !pids_) {
    return false;
  }
  const auto pid = pids_->read(kin->number, reader);
  return pid && pid->task == task;
}

} // namespace outguard::guest
