#include "daemon/attach_timing.h"

#include <algorithm>
#include <utility>

namespace outguard::daemon {

bool AttachRetry::is_due(GuestState state, MonotonicTime now) {
  if (state == GuestState::Ready) {
    pause_ = kFirst;
    since_.reset();
    return false;
  }
  since_ = since_.value_or(now);
  if (now < due_) {
    return false;
  }
  const bool boots = state == GuestState::Booting && now - *since_ < kBootTime;
  pause_ = boots ? kWhileBooting : std::min(pause_ * 2, kLongest);
  due_ = now + pause_;
  return true;
}

void AttachRetry::took(MonotonicTime began, MonotonicTime now) {
  due_ = std::max(
      due_, now + std::min<MonotonicTime::duration>((now - began) * kRestPerWork, kLongestRest));
}

/// Memory is the wider question: where the layout is another one, the kernel is looked for anew.
void PendingDoubt::raise(Doubt doubt) {
  const bool memory = doubt == Doubt::MemoryOutside || waiting_ == Doubt::MemoryOutside;
  waiting_ = memory ? Doubt::MemoryOutside : doubt;
}

std::optional<Doubt> PendingDoubt::take(MonotonicTime now) {
  if (!waiting_ || (taken_at_ && now - *taken_at_ < kPace)) {
    return std::nullopt;
  }
  taken_at_ = now;
  return std::exchange(waiting_, std::nullopt);
}

} // namespace outguard::daemon
