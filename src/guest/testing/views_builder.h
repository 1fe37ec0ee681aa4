#pragma once
// Puts the tasks of a LinuxImage into every place where a kernel has them: pid tables, lists of
// children, css_sets, a run queue; then takes single ones out again, as a rootkit would. Build
// once, after all processes and threads were added. One thread at a time.

#include <cstdint>
#include <map>
#include <vector>

#include "guest/testing/linux_image.h"

namespace outguard::guest {

class ViewsBuilder {
public:
  explicit ViewsBuilder(LinuxImage &image);

  /// list_del() of a node: the list closes, the node leads to itself.
  void unlink(GuestVirtual task, std::string_view node);
  /// The slot of its number becomes empty.
  void clear_number(GuestVirtual task);
  /// Runs it on the only CPU.
  void run(GuestVirtual task);

  [[nodiscard]] GuestVirtual tasklist_lock() const { return tasklist_lock_; }
  /// Where the pid table has the task's number.
  [[nodiscard]] GuestVirtual slot_of(GuestVirtual task) const { return slots_.at(task); }
  [[nodiscard]] GuestVirtual run_queue() const { return queue_; }

private:
  void define(std::string_view type,
              const std::vector<std::pair<std::string, std::uint32_t>> &members);
  void add_task(GuestVirtual task, GuestVirtual leader);
  void add_number(GuestVirtual task, GuestVirtual leader);
  [[nodiscard]] GuestVirtual slot(GuestVirtual space, std::uint64_t number);
  void close(GuestVirtual head);
  void append(GuestVirtual head, GuestVirtual node);
  [[nodiscard]] GuestVirtual pointer(GuestVirtual address);

  LinuxImage &image_;
  GuestVirtual queue_, tasklist_lock_, set_table_;
  std::map<GuestVirtual, GuestVirtual> slots_, sets_;
};

} // namespace outguard::guest
