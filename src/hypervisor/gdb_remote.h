#pragma once
// A client of the GDB remote serial protocol, as far as stopping x86-64 guests under QEMU's stub
// needs it: hardware breakpoints, registers, memory; never software breakpoints, which write into
// the guest, and never `k`, which ends the VM. Owns the connection. What the stub says is hostile:
// every answer has a cap and every call a deadline. One thread.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace outguard::hypervisor {

/// Those of QEMU's x86-64 `g` answer that are used, in its order.
struct StoppedRegisters {
  std::array<std::uint64_t, 16> general{}; ///< rax rbx rcx rdx rsi rdi rbp rsp r8 ... r15
  std::uint64_t rip = 0;
  std::uint32_t eflags = 0;
  std::uint32_t cs = 0, ss = 0;
};
enum Register : std::size_t {
  Rax,
  Rbx,
  Rcx,
  Rdx,
  Rsi,
  Rdi,
  Rbp,
  Rsp,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15
};

struct StopReply {
  unsigned signal = 0; ///< 5: a breakpoint; 2: it was told to stop
  std::string thread;  ///< as `Hg` wants it; empty: not said
};

class GdbRemote {
public:
  static constexpr std::size_t kMostPacketBytes = 16384; ///< QEMU's own limit is 4096

  explicit GdbRemote(Fd connection) : connection_(std::move(connection)) {}

  /// Asks why the VM stands, until it is answered: takes every breakpoint away and what was said
  /// unasked at the beginning out of the stream.
  [[nodiscard]] Result<void> settle(MonotonicTime deadline);
  /// At most four at once: a processor has no more.
  [[nodiscard]] Result<void> insert_breakpoint(std::uint64_t address, MonotonicTime deadline);
  [[nodiscard]] Result<void> remove_breakpoint(std::uint64_t address, MonotonicTime deadline);
  /// Lets all processors run.
  [[nodiscard]] Result<void> run(MonotonicTime deadline);
  /// Timeout: still running.
  [[nodiscard]] Result<StopReply> wait_for_stop(MonotonicTime deadline);
  /// Tells the running VM to stop. A breakpoint that is hit meanwhile wins: then that is the reply.
  [[nodiscard]] Result<StopReply> interrupt(MonotonicTime deadline);
  /// Registers and memory are those of this processor from now on.
  [[nodiscard]] Result<void> choose(const StopReply &stop, MonotonicTime deadline);
  [[nodiscard]] Result<StoppedRegisters> read_registers(MonotonicTime deadline);
  /// rax to r15, rip and eflags, in one packet: all or none. Segments stay.
  [[nodiscard]] Result<void> write_registers(const StoppedRegisters &registers,
                                             MonotonicTime deadline);
  [[nodiscard]] Result<void> read_memory(std::uint64_t address, std::span<std::uint8_t> out,
                                         MonotonicTime deadline);
  [[nodiscard]] Result<void>
  write_memory(std::uint64_t address, std::span<const std::uint8_t> bytes, MonotonicTime deadline);
  /// All breakpoints go, and the VM runs, also one that was paused before.
  [[nodiscard]] Result<void> detach(MonotonicTime deadline);

private:
  [[nodiscard]] Result<void> send_bytes(std::string_view bytes);
  [[nodiscard]] Result<char> next_byte(MonotonicTime deadline);
  /// A whole packet's payload, acknowledged.
  [[nodiscard]] Result<std::string> next_packet(MonotonicTime deadline);
  [[nodiscard]] Result<void> send_packet(std::string_view payload, MonotonicTime deadline);
  /// The answer to `payload`; stop replies in between are no answer.
  [[nodiscard]] Result<std::string> ask(std::string_view payload, MonotonicTime deadline);
  [[nodiscard]] Result<void> order(std::string_view payload, MonotonicTime deadline);

  Fd connection_;
  std::string received_; ///< not looked at yet
  std::size_t at_ = 0;   ///< in it
};

/// "T05thread:p01.02;" and the like; InvalidInput for anything else.
[[nodiscard]] Result<StopReply> parse_stop_reply(std::string_view payload);

} // namespace outguard::hypervisor
