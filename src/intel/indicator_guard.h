#pragma once
// What judges indicators between the parsers and the index: a sound one may still be no sign of
// anything. Implemented in guards/.

#include <optional>
#include <string_view>
#include <vector>

#include "intel/feed_indicator.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

/// Texts live as long as the guard.
struct GuardVerdict {
  std::optional<RejectReason> refusal;
  std::string_view guard;              ///< which one refused it, when the reason has several
  std::vector<std::string_view> flags; ///< tags for what is kept; each at most kMaxTagBytes
};

class IndicatorGuard {
public:
  virtual ~IndicatorGuard() = default;
  [[nodiscard]] virtual GuardVerdict judge(const FeedIndicator &indicator) = 0;
};

} // namespace outguard::intel
