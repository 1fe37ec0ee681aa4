#pragma once
// Compiles all configured intelligence, and decides whether the result may replace what is in
// force. Every refusal is told with its reason and what to do; the user accepts exactly what was
// told. What an earlier run had in force counts too: at start there is nothing better than what is
// left, so that is taken, and the loss told until it is made good or accepted. One thread.

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "launch/entry_memory.h"
#include "launch/intel_compiler_process.h"
#include "launch/shrink_guard.h"

namespace outguard::daemon {

/// A source that is this one, or comes out of it: a file of a folder, a member of an archive.
[[nodiscard]] bool is_of(const std::string &source, const std::string &given);
/// What a source of that name was given as; null: nothing of these.
[[nodiscard]] const launch::FeedChoice *choice_of(const std::string &source,
                                                  const std::vector<launch::FeedChoice> &choices);

class IntelLoader {
public:
  /// `state` is the folder that remembers from run to run. `ending` ends a compile.
  IntelLoader(unsigned most_lost_percent, std::string state, std::stop_token ending)
      : ending_(std::move(ending)), guard_(most_lost_percent), earlier_(most_lost_percent),
        memory_(std::move(state)) {}

  enum class Asked {
    ByChange, ///< something changed
    ByUser,   ///< SIGHUP: also accepts the losses told last, if they are still the same
  };
  struct Loaded {
    Fd image; ///< verified
    IntelReport totals;
    std::vector<FeedReport> feeds;
    std::vector<launch::FeedChoice> choices; ///< that they came of
    /// Losses beside an earlier run, not accepted; and whose they are.
    std::vector<std::string> short_of, short_sources;
  };
  /// Nothing may be replaced; the log says so too.
  struct Refusal {
    std::string why, remedy;
  };
  /// `expected`: sources that are configured, though there may be nothing of them yet.
  [[nodiscard]] tl::expected<Loaded, Refusal> load(const std::vector<launch::FeedChoice> &choices,
                                                   const std::vector<std::string> &expected,
                                                   Asked asked);

private:
  using Verdict = tl::expected<void, Refusal>;
  [[nodiscard]] Verdict may_replace(const std::vector<launch::FeedChoice> &choices,
                                    const launch::CompiledIntel &compiled, Asked asked);
  void recall(const std::vector<launch::FeedChoice> &choices,
              const std::vector<std::string> &expected);
  void compare_with_earlier_run(Asked asked);
  [[nodiscard]] tl::unexpected<Refusal> refuse(const std::string &why,
                                               const std::string &remedy) const;

  std::stop_token ending_;
  launch::ShrinkGuard guard_;   ///< what is in force
  launch::ShrinkGuard earlier_; ///< and what was, before this run, until it is accepted
  launch::EntryMemory memory_;  ///< of `earlier_`
  bool recalled_ = false;
  std::vector<FeedReport> judged_;    ///< of the latest set, without what is free to shrink
  std::vector<std::string> accepted_; ///< sources of the latest set whose losses the user accepts
  std::vector<std::string> told_;     ///< losses refused last
  std::vector<std::string> short_of_, short_sources_; ///< losses beside the earlier run, told
  std::uint64_t in_force_ = 0;                        ///< indicators
};

} // namespace outguard::daemon
