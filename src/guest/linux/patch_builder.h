#pragma once
// Patches on members of the guest's structures, by guest-physical address; remembers the first
// thing that could not be said. Borrows the reader.

#include <optional>
#include <utility>
#include <vector>

#include "facts/write_plan.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/kill_refusal.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/task.h"

namespace outguard::guest {

class PatchBuilder {
public:
  explicit PatchBuilder(KernelReader &reader) : reader_(reader) {}

  void expect(GuestVirtual object, const Member &member, std::uint64_t value);
  /// That the task is still this process.
  void expect_process(const Task &leader, const TaskLayout &layout);
  void set_bit(GuestVirtual object, const Member &member, std::uint64_t bit);

  [[nodiscard]] bool has_room_for(std::size_t patches) const {
    return patches_.size() + patches <= kMaxPatches;
  }
  [[nodiscard]] tl::expected<std::vector<Patch>, KillRefusal> finish();

private:
  void add(GuestVirtual object, const Member &member, std::uint64_t expect_mask,
           std::uint64_t expected, std::uint64_t write_mask, std::uint64_t value);

  KernelReader &reader_;
  std::vector<Patch> patches_;
  std::optional<KillRefusal> trouble_;
};

} // namespace outguard::guest
