#pragma once
// A client of the GDB remote serial protocol, as far as stopping x86-64 guests under QEMU's stub
// needs it: hardware breakpoints, registers, memory; never software breakpoints, which write into
// the guest, and never `k`, which ends the VM. Owns the connection. What the stub says is hostile:
// every answer has a cap and every call a deadline. One thread.

#include <array>
#include <cstdint>
#include <initializer_list>
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

/// What a stub is told, as GdbRemote::send() takes it.
namespace gdb {
constexpr const char *kWhy = "?"; ///< why does it stand? Takes every breakpoint away
constexpr const char *kRun = "vCont;c";
constexpr const char *kRegisters = "g";
constexpr const char *kDetach = "D;1"; ///< no breakpoint stays, and also a paused VM runs
/// At most four at once: a processor has no more.
[[nodiscard]] std::string break_at(std::uint64_t address);
/// Registers and memory are those of this processor from now on.
[[nodiscard]] std::string choose(const StopReply &stop);
[[nodiscard]] std::string read_memory(std::uint64_t address, std::size_t length);
[[nodiscard]] std::string write_memory(std::uint64_t address, std::span<const std::uint8_t> bytes);
/// rax to r15, rip and eflags. Segments stay.
[[nodiscard]] std::string write_registers(const StoppedRegisters &registers);
/// As they travel. The stub carries them out one after the other, so that nothing need be waited
/// for in between; what follows a `kRun` would stop the VM again.
[[nodiscard]] std::string packets(std::initializer_list<std::string_view> commands);
} // namespace gdb

/// Acknowledges nothing: over a socket pair nothing is damaged, a new command makes the stub forget
/// its last answer, and a byte too many stops a VM that runs.
class GdbRemote {
public:
  static constexpr std::size_t kMostPacketBytes = 16384; ///< QEMU's own limit is 4096

  explicit GdbRemote(Fd connection) : connection_(std::move(connection)) {}

  [[nodiscard]] Result<void> send(std::initializer_list<std::string_view> commands);

  // The answers, in the order of the commands. Stop replies and chatter in between are no answer.
  [[nodiscard]] Result<void> expect_ok(const char *to, MonotonicTime deadline);
  [[nodiscard]] Result<StoppedRegisters> registers(MonotonicTime deadline);
  [[nodiscard]] Result<void> memory(std::span<std::uint8_t> out, MonotonicTime deadline);

  /// Timeout: still running.
  [[nodiscard]] Result<StopReply> wait_for_stop(MonotonicTime deadline);
  /// Tells the running VM to stop. A breakpoint that is hit meanwhile wins: then that is the reply.
  [[nodiscard]] Result<StopReply> interrupt(MonotonicTime deadline);

private:
  [[nodiscard]] Result<void> send_bytes(std::string_view bytes);
  [[nodiscard]] Result<char> next_byte(MonotonicTime deadline);
  [[nodiscard]] Result<std::string> next_packet(MonotonicTime deadline); ///< its payload
  [[nodiscard]] Result<std::string> answer(MonotonicTime deadline);

  Fd connection_;
  std::string received_; ///< not looked at yet
  std::size_t at_ = 0;   ///< in it
};

/// "T05thread:p01.02;" and the like; InvalidInput for anything else.
[[nodiscard]] Result<StopReply> parse_stop_reply(std::string_view payload);

} // namespace outguard::hypervisor
