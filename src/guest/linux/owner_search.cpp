#include "guest/linux/owner_search.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostDescriptors = std::uint64_t{1} << 20; ///< fs.nr_open's default
constexpr std::size_t kSlotBytes = 8;
constexpr std::size_t kChunkSlots = 8192;
constexpr std::size_t kMostKnown = 65536; ///< 6 MiB; a kernel of 64-bit pids has no more leaders
constexpr std::size_t kMostYoung = 32;    ///< then the whole list is the shorter way
constexpr std::size_t kMostLately = 8;
constexpr std::uint32_t kMostRepeats = 64; ///< of one socket in one process, as the walker has it

} // namespace

/// The search for one file's holders.
class OwnerSearch::Hunt {
public:
  Hunt(OwnerSearch &search, const Holder &wanted, SocketTable &table, KernelReader &reader)
      : search_(search), layout_(search.layout_.file), wanted_(wanted), table_(table),
        reader_(reader), files_(search.files_extent_), fdtable_(layout_.table),
        file_(search.file_extent_) {}

  /// No hint leads further: what is passed from now on is worth a note.
  void search() { is_search_ = true; }
  /// Adds what the process holds, unless it was looked at before.
  void look_at(const Task &leader);
  /// As many descriptors were found as the file has references. More of those are a message on its
  /// way, an io_uring, or a call that some thread is in: who that is, only a whole table tells.
  [[nodiscard]] bool all_counted();
  /// And nobody else can share a table that one of them lies in.
  [[nodiscard]] bool is_over() { return !is_shared_ && all_counted(); }
  [[nodiscard]] const std::vector<GuestVirtual> &owners() const { return owners_; }

private:
  /// Returns how many slots of this table are the file.
  std::uint64_t scan(GuestVirtual files, const Task &leader);
  void scan_slots(GuestVirtual slots, std::uint64_t size, const Task &leader,
                  std::vector<Holder> &found);
  /// Those copied: `first` and what follows of the slots at `start`.
  void match(GuestVirtual start, std::size_t first, const Task &leader, std::vector<Holder> &found);
  void keep(const std::vector<Holder> &found, const Task &leader);
  /// Whether exactly `count` tasks use the table last scanned.
  [[nodiscard]] bool has_users(std::uint64_t count) const {
    return search_.users_ && files_.number(*search_.users_) == count;
  }
  void look_at_threads(const Task &leader);

  OwnerSearch &search_;
  const FileLayout &layout_;
  const Holder wanted_;
  SocketTable &table_;
  KernelReader &reader_;
  ObjectCopy files_, fdtable_, file_;
  std::vector<std::uint64_t> slots_;
  std::set<GuestVirtual> visited_;         ///< leaders
  std::set<GuestVirtual> empty_, counted_; ///< tables without the file, and with it
  std::vector<GuestVirtual> owners_;
  std::uint64_t found_ = 0; ///< descriptors
  bool is_search_ = false;  ///< no longer led by a hint
  bool is_shared_ = false;
  bool missed_ = false;
};

void OwnerSearch::Hunt::match(GuestVirtual start, std::size_t first, const Task &leader,
                              std::vector<Holder> &found) {
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    const GuestVirtual file(slots_[index]);
    if (is_search_) {
      search_.new_hints_.note(file, leader.address); // the others may be asked for next
    }
    if (file == wanted_.file) {
      Holder holder = wanted_;
      holder.fd = static_cast<std::int32_t>(first + index);
      holder.slot = start.plus_wrapping((first + index) * kSlotBytes);
      found.push_back(holder);
    }
  }
}

void OwnerSearch::Hunt::scan_slots(GuestVirtual slots, std::uint64_t size, const Task &leader,
                                   std::vector<Holder> &found) {
  if (size > kMostDescriptors) {
    missed_ = true;
    size = kMostDescriptors;
  }
  for (std::size_t first = 0; first < size; first += kChunkSlots) {
    slots_.resize(std::min<std::size_t>(kChunkSlots, size - first));
    if (!reader_.read(
            slots.plus_wrapping(first * kSlotBytes),
            {reinterpret_cast<std::uint8_t *>(slots_.data()), slots_.size() * kSlotBytes})) {
      missed_ = true;
      return;
    }
    match(slots, first, leader, found);
  }
}

std::uint64_t OwnerSearch::Hunt::scan(GuestVirtual files, const Task &leader) {
  if (files.is_null() || empty_.contains(files)) {
    return 0;
  }
  if (!files_.load(reader_, files)) {
    missed_ = true;
    return 0;
  }
  const GuestVirtual table = files_.pointer(layout_.files_table);
  const bool is_inside = table == files.plus_wrapping(layout_.files_first_table.offset);
  const auto part = [&](Member member) {
    member.offset += is_inside ? layout_.files_first_table.offset : 0;
    return member;
  };
  if (!is_inside && !fdtable_.load(reader_, table)) {
    missed_ = true;
    return 0;
  }
  const ObjectCopy &holding = is_inside ? files_ : fdtable_;
  const GuestVirtual slots = holding.pointer(part(layout_.table_slots));
  const std::uint64_t size = holding.number(part(layout_.table_size));
  const auto &first = search_.first_slots_;
  std::vector<Holder> found;
  if (first && slots == files.plus_wrapping(first->offset) && size * kSlotBytes <= first->size) {
    slots_.resize(size); // a small process: already copied
    std::memcpy(slots_.data(), files_.bytes(*first).data(), size * kSlotBytes);
    match(slots, 0, leader, found);
  } else {
    scan_slots(slots, size, leader, found);
  }
  if (found.empty()) {
    empty_.insert(files);
    return 0;
  }
  found_ += counted_.insert(files).second ? found.size() : 0;
  keep(found, leader);
  return found.size();
}

void OwnerSearch::Hunt::keep(const std::vector<Holder> &found, const Task &leader) {
  if (owners_.empty() || owners_.back() != leader.address) {
    owners_.push_back(leader.address);
    table_.leaders.push_back(leader);
  }
  if (found.size() > kMostRepeats) {
    table_.completeness.lost(PartialReason::RepeatsLeftOut,
                             {FaultCode::LimitReached, found[kMostRepeats].slot.raw()});
  }
  for (Holder holder : std::span(found).first(std::min<std::size_t>(found.size(), kMostRepeats))) {
    holder.leader = static_cast<std::uint32_t>(table_.leaders.size() - 1);
    table_.holders.push_back(holder);
  }
}

void OwnerSearch::Hunt::look_at_threads(const Task &leader) {
  Completeness outcome;
  std::map<GuestVirtual, std::uint64_t> users{{leader.files, 0}};
  for (const Task &thread : search_.tasks_.threads(leader, reader_, outcome)) {
    ++users[thread.files];
  }
  missed_ = missed_ || !outcome.complete();
  for (const auto &[files, count] : users) {
    if (scan(files, leader) != 0 && !has_users(count)) {
      is_shared_ = true;
    }
  }
}

void OwnerSearch::Hunt::look_at(const Task &leader) {
  if (!visited_.insert(leader.address).second) {
    return;
  }
  if (!leader.is_alone() && !leader.is_kernel_thread()) {
    look_at_threads(leader);
  } else if (scan(leader.files, leader) != 0 && !has_users(1)) {
    is_shared_ = true;
  }
}

bool OwnerSearch::Hunt::all_counted() {
  const auto &references = search_.references_;
  const auto has_as_many = [&] {
    return file_.load(reader_, wanted_.file) &&
           file_.pointer(layout_.private_data) == wanted_.socket &&
           file_.number(references->count) - references->of_one + 1 == found_;
  };
  if (!references || found_ == 0 || missed_ || !has_as_many()) {
    return false;
  }
  reader_.renew(wanted_.file, search_.file_extent_.end); // a fork since the first look counts
  return has_as_many();
}

OwnerSearch::OwnerSearch(const LinuxLayout &layout, const TaskList &tasks, const TypeTable &types)
    : layout_(layout), tasks_(tasks) {
  std::string missing;
  StructBinder file(types, "file", missing);
  file.include(layout.file.private_data);
  if (const auto count = file.optional_place("f_count.counter", 8)) {
    references_ = {*count, 1};
  } else if (const auto since_6_13 = file.optional_place("f_ref.refcnt.counter", 8)) {
    references_ = {*since_6_13, 0};
  }
  if (references_) {
    file.include(references_->count);
  }
  file_extent_ = file.extent();

  StructBinder files(types, "files_struct", missing);
  files.include(layout.file.files_table);
  files.include(layout.file.files_first_table);
  users_ = files.optional_place("count.counter", 4);
  first_slots_ = files.optional_place("fd_array");
  for (const auto &member : {users_, first_slots_}) {
    if (member) {
      files.include(*member);
    }
  }
  files_extent_ = files.extent();
}

std::optional<GuestVirtual> OwnerSearch::hint_for(GuestVirtual file) const {
  if (const auto found = new_hints_.find(file)) {
    return found;
  }
  const auto found = std::ranges::lower_bound(hints_, file, {}, &Hint::first);
  return found != hints_.end() && found->first == file ? std::optional(found->second)
                                                       : std::nullopt;
}

std::optional<Task> OwnerSearch::revisit(GuestVirtual address, KernelReader &reader) {
  const auto known = known_.find(address);
  if (known == known_.end()) {
    return std::nullopt;
  }
  const auto now = tasks_.read(address, reader);
  if (!now || now->identity() != known->second) {
    known_.erase(known);
    return std::nullopt;
  }
  return *now;
}

/// From the youngest process backwards. That link is poison in a process that ends meanwhile: then
/// the walk is over early.
class OwnerSearch::Youngest {
public:
  Youngest(const OwnerSearch &search, KernelReader &reader)
      : tasks_(search.tasks_), links_(search.layout_.task.tasks.offset), reader_(reader),
        head_(tasks_.init_task().plus_wrapping(links_)) {
    if (const auto last = reader.pointer(head_.plus_wrapping(sizeof(std::uint64_t)))) {
      at_ = *last; // list_head.prev
    }
  }

  [[nodiscard]] std::optional<Task> next() {
    if (at_ == head_ || seen_++ == kMostYoung) {
      return std::nullopt;
    }
    const auto task = tasks_.read(at_.minus_wrapping(links_), reader_);
    at_ = task ? task->tasks.back : head_;
    return task ? std::optional(*task) : std::nullopt;
  }

private:
  const TaskList &tasks_;
  const std::uint32_t links_;
  KernelReader &reader_;
  const GuestVirtual head_;
  GuestVirtual at_ = head_;
  std::size_t seen_ = 0;
};

bool OwnerSearch::is_new(const Task &task) {
  if (known_.size() >= kMostKnown) {
    known_.clear(); // then everybody is new once more
  }
  const auto [known, is_first] = known_.try_emplace(task.address, task.identity());
  return is_first || std::exchange(known->second, task.identity()) != task.identity();
}

bool OwnerSearch::find_where_likely(GuestVirtual file, Hunt &hunt, KernelReader &reader) {
  const auto look_again = [&](GuestVirtual address) {
    if (const auto task = revisit(address, reader)) {
      hunt.look_at(*task);
    }
  };
  if (const auto hint = hint_for(file)) {
    look_again(*hint);
    if (hunt.is_over()) {
      return true;
    }
  }
  hunt.search();
  Youngest young(*this, reader);
  auto task = young.next();
  for (; task && is_new(*task); task = young.next()) {
    hunt.look_at(*task);
  }
  for (auto owner = lately_.begin(); owner != lately_.end() && !hunt.is_over(); ++owner) {
    look_again(*owner);
  }
  // One that was new at an earlier look may have opened its socket since.
  for (; task && !hunt.is_over(); task = young.next()) {
    hunt.look_at(*task);
  }
  return hunt.is_over();
}

bool OwnerSearch::find_anywhere(Hunt &hunt, KernelReader &reader) {
  Completeness outcome;
  const auto everybody = tasks_.leaders(reader, outcome);
  known_.clear();
  for (const Task &task : everybody) {
    known_[task.address] = task.identity();
    hunt.look_at(task);
  }
  return outcome.complete() && hunt.all_counted();
}

void OwnerSearch::note_owner(GuestVirtual task) {
  const auto before = std::ranges::find(lately_, task);
  if (before != lately_.end()) {
    std::rotate(lately_.begin(), before, before + 1);
    return;
  }
  lately_.insert(lately_.begin(), task);
  lately_.resize(std::min(lately_.size(), kMostLately));
}

bool OwnerSearch::add_holders(SocketRow &row, Reach reach, SocketTable &table,
                              KernelReader &reader) {
  const SocketLayout &layout = layout_.socket;
  row.first_holder = static_cast<std::uint32_t>(table.holders.size());
  if (row.sock.socket.is_null()) {
    return true;
  }
  ObjectCopy socket(layout.socket);
  if (!socket.load(reader, row.sock.socket.minus_wrapping(layout.socket_in_alloc))) {
    return false;
  }
  Holder wanted;
  wanted.file = socket.pointer(layout.socket_file);
  wanted.socket = row.sock.socket;
  wanted.sock = socket.pointer(layout.socket_sock);
  wanted.inode = row.inode = socket.number(layout.socket_inode);
  if (wanted.file.is_null()) {
    row.owner_status = OwnerStatus::Kernel;
    return true;
  }
  Hunt hunt(*this, wanted, table, reader);
  const bool all_found = find_where_likely(wanted.file, hunt, reader) ||
                         (reach == Reach::Everybody && find_anywhere(hunt, reader));
  row.holder_count = static_cast<std::uint32_t>(table.holders.size()) - row.first_holder;
  if (row.holder_count != 0) {
    row.owner_status = OwnerStatus::Exact;
    note_owner(hunt.owners().back());
  }
  return all_found;
}

void OwnerSearch::learn(const SocketTable &whole) {
  known_.clear();
  for (const Task &task : whole.leaders) {
    known_[task.address] = task.identity();
  }
  new_hints_.forget();
  hints_.clear();
  hints_.reserve(whole.holders.size());
  for (const Holder &holder : whole.holders) {
    hints_.emplace_back(holder.file, whole.leaders[holder.leader].address);
  }
  std::ranges::sort(hints_);
}

} // namespace outguard::guest
