#include "base/fd.h"

#include <unistd.h>

namespace outguard {

void Fd::reset() {
  if (raw_ >= 0) {
    ::close(std::exchange(raw_, -1));
  }
}

} // namespace outguard
