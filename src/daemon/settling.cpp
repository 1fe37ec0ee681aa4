#include "daemon/settling.h"

namespace outguard::daemon {

bool Settling::look(std::uint64_t seen, MonotonicTime now) {
  if (seen == taken_) {
    moving_.reset();
    return false;
  }
  if (!moving_) {
    moving_ = Moving{seen, now, now};
    return false;
  }
  if (seen != moving_->seen) {
    moving_->seen = seen;
    moving_->since = now;
  }
  if (now - moving_->since < kStill && now - moving_->first < kMost) {
    return false;
  }
  taken_ = seen;
  moving_.reset();
  return true;
}

} // namespace outguard::daemon
