#pragma once
// The typed write plan: the only form in which a sensor can ask for a change to its guest. The
// supervisor executes it with the VM paused, all or nothing, after its guard has agreed.

#include <cstdint>
#include <string>
#include <vector>

#include "facts/process_seen.h"

namespace outguard {

/// "At guest-physical `address`, little-endian, `width` bytes: if (now & expect_mask) == expect
/// then write (now & ~write_mask) | (value & write_mask)". write_mask 0: a check only.
struct Patch {
  std::uint64_t address = 0;
  std::uint8_t width = 8; ///< 1, 2, 4 or 8; never crosses a page
  std::uint64_t expect_mask = 0;
  std::uint64_t expect = 0;
  std::uint64_t write_mask = 0;
  std::uint64_t value = 0;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.address, self.width, self.expect_mask, self.expect, self.write_mask, self.value);
  }
};

/// A thread needs three, so 1,363 threads fit; of more, those that run now. 41 bytes each: the plan
/// must fit one message.
inline constexpr std::size_t kMaxPatches = 4096;

struct WritePlan {
  ProcessIdentity process;
  std::vector<Patch> patches; ///< executed in order after all expectations were checked

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process, self.patches);
  }
};

/// What a later look at the process found.
enum class ProcessFate : std::uint8_t {
  Alive,
  Exited, ///< a zombie
  Gone,
  Unknown,
  Stopped,         ///< by a signal: no thread runs user code
  Uninterruptible, ///< alive, and a thread sleeps where no signal reaches it
};
[[nodiscard]] const char *to_string(ProcessFate fate);

} // namespace outguard
