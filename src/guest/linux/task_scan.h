#pragma once
// Finds tasks in all of the guest's RAM by their shape alone, whatever allocator made them and
// whether any list leads to them. A candidate must name kernel objects where a task does, be where
// its own empty or closed lists say it is, and have a group, a parent and a number that know it.
// What was released (its sighand is gone then), freed or merely copied is none: its own address,
// written into its lists, is another's.
// Owns offsets only; a scan reads RAM once, in bulk. One thread at a time.

#include <cstdint>
#include <vector>

#include "guest/linux/pid_table.h"
#include "guest/linux/view_task.h"

namespace outguard::guest {

struct ScanResult {
  std::vector<GuestVirtual> tasks; ///< threads too
  std::uint64_t bytes = 0;         ///< of RAM looked at
  bool whole = true;               ///< false: there was more than we are willing to read or to keep
};

class TaskScan {
public:
  /// 64 GiB take a minute; a sensor answers nothing else meanwhile.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 30;

  TaskScan(const ViewLayout &layout, const PidTable &pids) : layout_(layout), pids_(pids) {}

  /// `known` is any task: where it lies tells where the kernel maps all of RAM.
  [[nodiscard]] Result<ScanResult> run(GuestVirtual known, KernelReader &reader) const;

private:
  /// Cheap, on raw bytes: nearly all of RAM fails here.
  [[nodiscard]] bool has_shape(const std::uint8_t *object, std::uint64_t address) const;
  /// With what it points to.
  [[nodiscard]] bool is_task(GuestVirtual address, KernelReader &reader) const;

  const ViewLayout &layout_;
  const PidTable &pids_;
};

} // namespace outguard::guest
