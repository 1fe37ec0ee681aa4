#pragma once
// Why there is no plan to end or signal a process: a closed list.

#include <cstdint>
#include <optional>

#include "guest/bytes/address.h"

namespace outguard::guest {

struct Task;

enum class KillRefusal : std::uint8_t {
  NoSuchProcess, ///< the identity fits no process: it ended, or the pid is another's now
  InitProcess,   ///< pid 1, or the kernel's own pid 0
  KernelThread,
  AlreadyExiting, ///< a fatal signal was delivered already, or it is a zombie
  LockHeld,       ///< sighand->siglock is taken: let the guest run and ask again
  Unsupported,    ///< this kernel's TIF_SIGPENDING or lock word could not be derived
  Unreadable,     ///< memory was not there, or kept changing
};
[[nodiscard]] const char *to_string(KillRefusal refusal);

/// What no plan of any kind is made for. `init_task`: pid 0.
[[nodiscard]] std::optional<KillRefusal> refuses_signals(const Task &leader,
                                                         GuestVirtual init_task);

} // namespace outguard::guest
