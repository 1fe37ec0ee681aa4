#pragma once
// Counts what becomes of a feed's lines and objects, and writes the FeedReport. One a feed; one
// thread.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "facts/intel_report.h"
#include "intel/feed_indicator.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxRejectTextBytes = 120; ///< of a rejected line, shown in the report
/// Kinds of passed-over content counted apart; what comes later is counted together. The names come
/// from the feed.
inline constexpr std::size_t kMaxIgnoredKinds = 24;
/// Likewise of guards that refuse with a name of their own.
inline constexpr std::size_t kMaxGuardsCounted = 256;
inline constexpr std::size_t kMaxIgnoredKindBytes = 48;

class ReportWriter {
public:
  explicit ReportWriter(const std::string &name) { report_.name = name; }

  void count(const Receipt &receipt, std::string_view text, std::uint32_t number);
  void count(RejectReason reason, std::string_view text, std::uint32_t number);
  void count_comment() { ++report_.comments; }
  /// Sound content that is no indicator for this product, e.g. "e-mail address".
  void count_ignored(std::string_view kind);
  void set_format(std::string format) { report_.format = std::move(format); }
  /// Why nothing is expected of this file; a file with a note is no problem when it gives nothing.
  void set_note(std::string note) { report_.note = std::move(note); }
  /// What is wrong with the file as a whole, though some of it was taken.
  void set_problem(std::string problem) { report_.problem = std::move(problem); }

  [[nodiscard]] FeedReport finish();
  [[nodiscard]] FeedReport refuse(std::string problem);

private:
  void list(RejectReason reason, std::string_view guard, std::string_view text,
            std::uint32_t number);
  void list_counts();

  FeedReport report_;
  std::array<std::uint64_t, kRejectReasons> by_reason_{};
  std::map<std::string, std::uint64_t, std::less<>> by_guard_; ///< "on a warninglist: NAME"
};

} // namespace outguard::intel
