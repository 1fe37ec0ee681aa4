#pragma once
// Compiles all configured intelligence, and decides whether the result may replace what is in
// force. Every refusal is told with its reason and what to do; the user accepts exactly what was
// told. One thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "launch/intel_compiler_process.h"
#include "launch/shrink_guard.h"

namespace outguard::daemon {

class IntelLoader {
public:
  explicit IntelLoader(unsigned most_lost_percent) : guard_(most_lost_percent) {}

  enum class Asked {
    ByChange, ///< something changed
    ByUser,   ///< SIGHUP: also accepts the losses told last, if they are still the same
  };
  struct Loaded {
    Fd image; ///< verified
    std::uint64_t indicators = 0;
    std::size_t sources = 0;
  };
  /// nullopt: nothing may be replaced, and the log says why.
  [[nodiscard]] std::optional<Loaded> load(const std::vector<launch::FeedChoice> &choices,
                                           Asked asked);

private:
  [[nodiscard]] bool may_replace(const std::vector<launch::FeedChoice> &choices,
                                 const launch::CompiledIntel &compiled, Asked asked);
  void refuse(const std::string &why, const std::string &remedy) const;

  launch::ShrinkGuard guard_;
  std::vector<FeedReport> judged_; ///< of the latest set, without what is free to shrink
  std::vector<std::string> told_;  ///< losses refused last
  std::uint64_t in_force_ = 0;     ///< indicators
};

} // namespace outguard::daemon
