#include "guest/testing/views_builder.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kSlots = 64;
constexpr std::uint32_t kPriorities = 4; ///< a small kernel
constexpr std::uint32_t kThreadId = 0, kGroupId = 1;

} // namespace

void ViewsBuilder::define(std::string_view type,
                          const std::vector<std::pair<std::string, std::uint32_t>> &members) {
  std::uint32_t at = 0;
  for (const auto &[member, size] : members) {
    image_.types().add_member(std::string(type), member, {at, size, 0, 0});
    at += (size + 7) / 8 * 8;
  }
  image_.types().add_type(std::string(type), at);
}

GuestVirtual ViewsBuilder::pointer(GuestVirtual address) {
  return image_.builder().space().read_pointer(address).value();
}

void ViewsBuilder::close(GuestVirtual head) {
  image_.builder().put_pointer(head, head);
  image_.builder().put_pointer(head.plus_wrapping(8), head);
}

void ViewsBuilder::append(GuestVirtual head, GuestVirtual node) {
  GuestImageBuilder &memory = image_.builder();
  const GuestVirtual last = pointer(head.plus_wrapping(8));
  memory.put_pointer(last, node);
  memory.put_pointer(node, head);
  memory.put_pointer(node.plus_wrapping(8), last);
  memory.put_pointer(head.plus_wrapping(8), node);
}

ViewsBuilder::ViewsBuilder(LinuxImage &image) : image_(image) {
  GuestImageBuilder &memory = image_.builder();
  define("xa_node", {{"shift", 1}, {"offset", 1}, {"parent", 8}, {"array", 8}, {"slots", 512}});
  define("rq", {{"nr", 8}, {"cfs_tasks", 16}, {"rt.active.queue", kPriorities * 16}, {"curr", 8}});
  define("qrwlock", {{"cnts", 8}});
  define("qspinlock", {{"val", 8}});

  tasklist_lock_ = memory.allocate(8);
  image_.symbols().add("tasklist_lock", tasklist_lock_);
  image_.symbols().add("css_set_lock", memory.allocate(8));
  set_table_ = memory.allocate(std::uint64_t{128} * 8);
  image_.symbols().add("css_set_table", set_table_);

  // One CPU, whose variables lie a distance away from where they were linked.
  constexpr std::uint64_t kDistance = 0x1000;
  queue_ = memory.allocate(image_.types().size_of("rq").value() + kDistance);
  const GuestVirtual offsets = memory.allocate(8), cpus = memory.allocate(8);
  memory.put(offsets, kDistance);
  memory.put(cpus, std::uint32_t{1});
  image_.symbols().add("runqueues", queue_.minus_wrapping(kDistance));
  image_.symbols().add("__per_cpu_offset", offsets);
  image_.symbols().add("nr_cpu_ids", cpus);
  close(image_.at(queue_, "rq", "cfs_tasks"));
  for (std::uint32_t each = 0; each < kPriorities; ++each) {
    close(image_.at(queue_, "rq", "rt.active.queue").plus_wrapping(std::uint64_t{each} * 16));
  }
  image_.set(queue_, "rq", "curr", image_.init_task().raw());

  const GuestVirtual head = image_.at(image_.init_task(), "task_struct", "tasks");
  const std::uint64_t tasks = head.raw() - image_.init_task().raw();
  std::vector<GuestVirtual> leaders{image_.init_task()};
  for (GuestVirtual node = pointer(head); node != head; node = pointer(node)) {
    leaders.push_back(node.minus_wrapping(tasks));
  }
  const std::uint64_t thread_node =
      image_.types().member("task_struct", "thread_node").value().offset;
  std::vector<std::pair<GuestVirtual, GuestVirtual>> all; ///< task, leader
  for (const GuestVirtual leader : leaders) {
    const GuestVirtual signal(image_.get(leader, "task_struct", "signal"));
    const GuestVirtual threads = image_.at(signal, "signal_struct", "thread_head");
    for (GuestVirtual node = pointer(threads); node != threads; node = pointer(node)) {
      const GuestVirtual task = node.minus_wrapping(thread_node);
      close(image_.at(task, "task_struct", "children"));
      all.emplace_back(task, leader);
    }
  }
  for (const auto &[task, leader] : all) {
    add_task(task, leader);
  }
}

void ViewsBuilder::add_task(GuestVirtual task, GuestVirtual leader) {
  image_.set(task, "task_struct", "group_leader", leader.raw());
  if (task == image_.init_task()) {
    return;
  }
  if (task == leader) {
    const GuestVirtual parent(image_.get(task, "task_struct", "real_parent"));
    append(image_.at(parent, "task_struct", "children"), image_.at(task, "task_struct", "sibling"));
  }
  const GuestVirtual set(image_.get(task, "task_struct", "cgroups"));
  if (sets_.emplace(set, set).second) {
    close(image_.at(set, "css_set", "tasks"));
    close(image_.at(set, "css_set", "mg_tasks"));
    const GuestVirtual node = image_.at(set, "css_set", "hlist");
    const GuestVirtual bucket = set_table_.plus_wrapping(sets_.size() * 8);
    image_.builder().put_pointer(bucket, node);
    image_.builder().put_pointer(node.plus_wrapping(8), bucket);
  }
  append(image_.at(set, "css_set", "tasks"), image_.at(task, "task_struct", "cg_list"));
  add_number(task, leader);
}

void ViewsBuilder::add_number(GuestVirtual task, GuestVirtual leader) {
  GuestImageBuilder &memory = image_.builder();
  if (task != leader) { // it was copied with its leader's
    const GuestVirtual own = memory.allocate(image_.types().size_of("pid").value());
    const GuestVirtual upid = image_.at(own, "pid", "numbers");
    const GuestVirtual root(image_.get(
        image_.at(GuestVirtual(image_.get(leader, "task_struct", "thread_pid")), "pid", "numbers"),
        "upid", "ns"));
    image_.set(upid, "upid", "nr", image_.get(task, "task_struct", "pid"));
    image_.set(upid, "upid", "ns", root.raw());
    image_.set(task, "task_struct", "thread_pid", own.raw());
  }
  const GuestVirtual number(image_.get(task, "task_struct", "thread_pid"));
  const GuestVirtual heads = image_.at(number, "pid", "tasks");
  const GuestVirtual links = image_.at(task, "task_struct", "pid_links");
  memory.put_pointer(heads.plus_wrapping(std::uint64_t{kThreadId} * 8), links);
  if (task == leader) {
    memory.put_pointer(heads.plus_wrapping(std::uint64_t{kGroupId} * 8),
                       links.plus_wrapping(std::uint64_t{kGroupId} * 16));
  }
  for (std::uint64_t level = 0; level <= image_.get(number, "pid", "level"); ++level) {
    const GuestVirtual upid = image_.at(number, "pid", "numbers").plus_wrapping(level * 16);
    const GuestVirtual space(image_.get(upid, "upid", "ns"));
    const GuestVirtual at = slot(space, image_.get(upid, "upid", "nr"));
    memory.put_pointer(at, number);
    if (level == 0) {
      slots_[task] = at;
      if (!image_.symbols().find("init_pid_ns")) {
        image_.symbols().add("init_pid_ns", space);
      }
    }
  }
}

/// A tree of two levels: numbers below 4096.
GuestVirtual ViewsBuilder::slot(GuestVirtual space, std::uint64_t number) {
  GuestImageBuilder &memory = image_.builder();
  const auto node_at = [&](GuestVirtual entry, std::uint64_t shift) {
    if (pointer(entry).is_null()) {
      const GuestVirtual node = memory.allocate(image_.types().size_of("xa_node").value());
      image_.set(node, "xa_node", "shift", shift);
      memory.put(entry, node.raw() | 2);
    }
    return GuestVirtual(pointer(entry).raw() & ~std::uint64_t{3});
  };
  const auto slot_in = [&](GuestVirtual node, std::uint64_t index) {
    return image_.at(node, "xa_node", "slots").plus_wrapping(index * 8);
  };
  const GuestVirtual root = node_at(image_.at(space, "pid_namespace", "idr.idr_rt.xa_head"), 6);
  const GuestVirtual leaf = node_at(slot_in(root, number / kSlots), 0);
  return slot_in(leaf, number % kSlots);
}

void ViewsBuilder::unlink(GuestVirtual task, std::string_view name) {
  const GuestVirtual node = image_.at(task, "task_struct", name);
  const GuestVirtual next = pointer(node), back = pointer(node.plus_wrapping(8));
  image_.builder().put_pointer(back, next);
  image_.builder().put_pointer(next.plus_wrapping(8), back);
  close(node);
}

void ViewsBuilder::clear_number(GuestVirtual task) {
  image_.builder().put(slots_.at(task), std::uint64_t{0});
}

void ViewsBuilder::run(GuestVirtual task) {
  image_.set(queue_, "rq", "curr", task.raw());
}

} // namespace outguard::guest
