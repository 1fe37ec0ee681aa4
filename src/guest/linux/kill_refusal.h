#pragma once
// Why there is no plan to end a process: a closed list.

#include <cstdint>

namespace outguard::guest {

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

} // namespace outguard::guest
