#include "guest/linux/kill_refusal.h"

#include "guest/linux/task.h"

namespace outguard::guest {
namespace {

constexpr std::int32_t kInitPid = 1;

} // namespace

const char *to_string(KillRefusal refusal) {
  switch (refusal) {
  case KillRefusal::NoSuchProcess:
    return "no such process";
  case KillRefusal::InitProcess:
    return "the guest's init process";
  case KillRefusal::KernelThread:
    return "a kernel thread";
  case KillRefusal::AlreadyExiting:
    return "already exiting";
  case KillRefusal::LockHeld:
    return "signal lock held, try again";
  case KillRefusal::Unsupported:
    return "not supported on this kernel";
  case KillRefusal::Unreadable:
    return "memory unreadable";
  }
  return "unknown";
}

std::optional<KillRefusal> refuses_signals(const Task &leader, GuestVirtual init_task) {
  if (leader.tgid <= kInitPid || leader.address == init_task) {
    return KillRefusal::InitProcess;
  }
  if (leader.is_kernel_thread()) {
    return KillRefusal::KernelThread;
  }
  if (leader.has_exited() || leader.sighand.is_null()) {
    return KillRefusal::AlreadyExiting;
  }
  return std::nullopt;
}

} // namespace outguard::guest
