#pragma once
// All guards of indicators, as the compile process uses them: public suffixes, well-known addresses
// and MISP warninglists. (Reserved ranges and names are part of what a value is:
// indicator_value.h.) One thread; warninglists come before the first indicator.

#include "intel/guards/warning_lists.h"
#include "intel/indicator_guard.h"

namespace outguard::intel {

class IndicatorGuards final : public IndicatorGuard {
public:
  [[nodiscard]] FeedReport add_warning_list(const std::string &file, std::string_view json) {
    return warning_lists_.add(file, json);
  }

  [[nodiscard]] GuardVerdict judge(const FeedIndicator &indicator) override;

private:
  WarningLists warning_lists_;
};

} // namespace outguard::intel
