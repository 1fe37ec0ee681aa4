#pragma once
// Decides when the sensor's picture of its guest deserves a doubt: the kernel's clock stands still
// or leaps (a reset, a kexec, a pause, or mere idleness), or memory was wanted that the layout does
// not have (a DIMM was plugged). Only the privileged side can find out; asking costs it a QMP
// connection, so a doubt that proved empty is raised again ever more rarely. Plain state, no clock
// of its own.

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "facts/messages.h"
#include "guest/linux/kernel_pulse.h"

namespace outguard::sensor {

class KernelWatch {
public:
  static constexpr std::chrono::milliseconds kInterval{250}; ///< between looks
  static constexpr std::chrono::milliseconds kPatience{500}; ///< with a clock that stands
  static constexpr std::chrono::milliseconds kMostPatience{4000};
  static constexpr std::chrono::seconds kGiveUpAfter{10}; ///< idle kernels tick every few seconds
  static constexpr std::chrono::seconds kMostGiveUpAfter{640};
  static constexpr std::chrono::seconds kBetweenLayouts{10}; ///< a guest can want wild addresses

  /// `pulse`: LinuxGuest::pulse(); `outside`: MemoryReader::outside().
  [[nodiscard]] std::optional<Doubt> look(MonotonicTime now, const guest::Pulse &pulse,
                                          std::uint64_t outside);
  /// A kernel was attached to: all that was seen before is another one's.
  void reset();
  /// Nobody can ask the CPUs, and memory still holds this kernel whole, as it does after a kexec:
  /// has its clock stood for so long that another is to be looked for? That costs a scan of all
  /// RAM, so each time that none was found it takes twice as long.
  [[nodiscard]] bool gives_up(MonotonicTime now);

private:
  [[nodiscard]] bool memory_is_doubtful(MonotonicTime now, const guest::Pulse &pulse,
                                        std::uint64_t outside);
  [[nodiscard]] bool clock_is_doubtful(MonotonicTime now, std::optional<std::uint64_t> beat);

  [[nodiscard]] bool has_ticked(MonotonicTime now, std::optional<std::uint64_t> beat) const;

  bool looked_ = false;
  std::optional<std::uint64_t> last_beat_;
  MonotonicTime changed_at_{}; ///< when last_beat_ was first seen
  MonotonicTime ticked_at_{};
  std::chrono::seconds give_up_after_ = kGiveUpAfter; ///< outlives a reset
  MonotonicTime ask_at_{};
  std::chrono::milliseconds patience_ = kPatience;
  std::uint64_t outside_ = 0;
  std::optional<std::uint64_t> memory_end_;
  MonotonicTime layout_asked_at_{};
};

} // namespace outguard::sensor
