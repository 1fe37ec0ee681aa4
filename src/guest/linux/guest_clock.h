#pragma once
// The guest's wall clock, out of its timekeeper: when the guest booted, in its own opinion.

#include <cstdint>
#include <optional>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class GuestClock {
public:
  GuestClock(const ClockLayout &layout, const SymbolTable &symbols)
      : layout_(layout), core_(symbols.find("tk_core")) {}

  /// Nanoseconds since the epoch at boot, what /proc/stat rounds to `btime`. Changes whenever the
  /// guest's clock is set. nullopt: not found, or changed on every try.
  [[nodiscard]] std::optional<std::int64_t> boot_time_ns(KernelReader &reader) const;

private:
  [[nodiscard]] std::optional<std::int64_t> read_at(GuestVirtual timekeeper,
                                                    KernelReader &reader) const;

  const ClockLayout &layout_;
  std::optional<GuestVirtual> core_;
};

} // namespace outguard::guest
