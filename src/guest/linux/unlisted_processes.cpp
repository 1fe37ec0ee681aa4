#include "guest/linux/unlisted_processes.h"

#include <map>
#include <set>

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

  void know(GuestVirtual task) {
    if (const auto kin = from_.read(task, reader_)) {
      numbers_.insert(kin->number);
      known_.emplace(task, *kin);
    }
  }
  void ask_parents();
  void ask_numbers();
  [[nodiscard]] std::vector<GuestVirtual> finish() { return std::move(found_); }

private:
  /// A task not known so far: a process of its own, and alive?
  void meet(GuestVirtual task);
  [[nodiscard]] bool has_room() {
    return foreign_ < kMostForeign && found_.size() < kMostFound && !reader_.budget().exhausted();
  }

  const UnlistedProcesses &from_;
  KernelReader &reader_;
  std::map<GuestVirtual, Kin> known_;
  std::set<GuestVirtual> numbers_; ///< struct pids of the known
  std::vector<GuestVirtual> found_;
  std::size_t foreign_ = 0;
};

void UnlistedProcesses::Search::meet(GuestVirtual task) {
  ++foreign_;
  know(task);
  const auto met = known_.find(task);
  if (met != known_.end() && met->second.lives && met->second.leader == task &&
      from_.is_attached(task, reader_)) {
    found_.push_back(task);
  }
}

void UnlistedProcesses::Search::ask_parents() {
  std::vector<GuestVirtual> parents;
  for (const auto &[task, kin] : known_) {
    parents.push_back(task);
  }
  std::set<GuestVirtual> children;
  for (std::size_t next = 0; next < parents.size() && has_room(); ++next) { // grows
    const GuestVirtual head = parents[next].plus_wrapping(from_.children_.offset);
    GuestVirtual node = known_.at(parents[next]).first_child;
    while (node != head && has_room()) {
      const GuestVirtual child = node.minus_wrapping(from_.sibling_.offset);
      if (!children.insert(child).second) {
        break; // another's list, or a circle
      }
      if (!known_.contains(child)) {
        meet(child);
        parents.push_back(child);
      }
      const auto kin = known_.find(child);
      if (kin == known_.end()) {
        parents.pop_back(); // cannot be read
        break;
      }
      node = kin->second.next_sibling;
    }
  }
}

void UnlistedProcesses::Search::ask_numbers() {
  if (!from_.pids_) {
    return;
  }
  Completeness unused; // who is listed was found; this only adds
  for (const GuestVirtual number : from_.pids_->slots(reader_, unused)) {
    if (numbers_.contains(number) || !has_room()) {
      continue;
    }
    ++foreign_;
    const auto pid = from_.pids_->read(number, reader_);
    if (pid && !pid->leader.is_null() && !known_.contains(pid->leader)) {
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
  search.know(init_task_);
  for (const Task &task : listed) {
    search.know(task.address);
  }
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
