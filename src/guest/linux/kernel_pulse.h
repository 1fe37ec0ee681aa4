#pragma once
// Is it still this kernel that runs? After a reset or kexec the old kernel's memory goes on reading
// as it did, until something overwrites it: only its clock stands still, and the CPUs run code
// elsewhere. Borrows nothing; reads through the reader of the moment.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "guest/linux/kernel_reader.h"
#include "guest/memory/cpu_registers.h"
#include "guest/symbols/kernel.h"

namespace outguard::guest {

/// nullopt: not readable.
struct Pulse {
  /// jiffies: changes with every timer tick of any CPU. It may stand for seconds while all of them
  /// are idle (CONFIG_NO_HZ_IDLE), and stands while the VM is paused.
  std::optional<std::uint64_t> beat;
  std::optional<std::uint64_t> memory_end; ///< max_pfn: grows when memory is plugged in
};

class KernelPulse {
public:
  explicit KernelPulse(const Kernel &kernel);

  [[nodiscard]] Pulse read(KernelReader &reader) const;

  /// Do these registers, read just now, lead to the same image at the same place in RAM, and does
  /// it still carry the same banner? An equal kernel booted to the very same place is the same one
  /// here: all that was learned about it holds. Without registers (nobody can ask the CPUs): is the
  /// kernel still whole in memory? A boot overwrites the one before, sooner or later.
  [[nodiscard]] bool is_run_by(std::span<const CpuRegisters> registers, KernelReader &reader) const;

private:
  std::optional<GuestVirtual> jiffies_, max_pfn_;
  std::optional<GuestVirtual> banner_;
  std::string banner_text_; ///< as much of it as was kept, without the line's end
  GuestVirtual text_;
};

} // namespace outguard::guest
