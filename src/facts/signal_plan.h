#pragma once
// What is needed to have a guest's kernel signal one of its processes by its own function, called
// through QEMU's gdbstub. Made by the sensor from the running kernel, carried out by the supervisor
// (respond/signal_call.h), which writes nothing but the interrupted stack's unused part and
// registers, and puts both right. Facts: measured on 5.10, 6.1, 6.12 and 7.2.

#include <cstdint>
#include <vector>

#include "facts/process_seen.h"
#include "facts/write_plan.h"

namespace outguard {

enum class GuestSignal : std::uint8_t { Kill = 9, Continue = 18, Stop = 19 };

struct SignalPlan {
  ProcessIdentity process;
  GuestSignal signal = GuestSignal::Kill;
  /// Read again, by guest-physical address, while the VM stands at the breakpoint: that the task is
  /// still this process. Checks only (write_mask 0).
  std::vector<Patch> identity;
  // Guest-virtual addresses.
  std::uint64_t stop_at = 0;   ///< in hrtimer_interrupt: IF = 0, kernel CR3
  std::uint64_t hurry_at = 0;  ///< in the handler of device interrupts; 0: none known
  std::uint64_t function = 0;  ///< do_send_sig_info
  std::uint64_t return_to = 0; ///< restore_regs_and_return_to_kernel
  std::uint64_t kernel_begin = 0,
                kernel_end = 0; ///< text: where an interrupted rip may be checked against

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process, self.signal, self.identity, self.stop_at, self.hurry_at, self.function,
         self.return_to, self.kernel_begin, self.kernel_end);
  }
};

} // namespace outguard
