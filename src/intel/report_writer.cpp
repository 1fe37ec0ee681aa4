#include "intel/report_writer.h"

#include <algorithm>

namespace outguard::intel {

namespace {

constexpr const char *kOtherKinds = "other kinds";

/// Reports carry plain strings only when they can be printed as they are.
std::string printable_kind(std::string_view kind) {
  std::string text(kind.substr(0, kMaxIgnoredKindBytes));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

} // namespace

void ReportWriter::count(const Receipt &receipt, std::string_view text, std::uint32_t number) {
  switch (receipt.taken) {
  case Taken::Accepted:
    ++report_.accepted;
    report_.flagged += receipt.flagged ? 1 : 0;
    break;
  case Taken::Duplicate:
    ++report_.duplicates;
    break;
  case Taken::Full:
    count(RejectReason::IndexFull, text, number);
    break;
  case Taken::BadValue:
    count(RejectReason::NotAnIndicator, text, number);
    break;
  case Taken::Guarded:
    list(receipt.reason, receipt.guard, text, number);
    break;
  }
}

void ReportWriter::count(RejectReason reason, std::string_view text, std::uint32_t number) {
  list(reason, {}, text, number);
}

void ReportWriter::list(RejectReason reason, std::string_view guard, std::string_view text,
                        std::uint32_t number) {
  ++report_.rejected;
  std::string why = to_string(reason);
  if (guard.empty()) {
    ++by_reason_[static_cast<std::size_t>(reason)];
  } else {
    why.append(": ").append(guard);
    const bool room = by_guard_.size() < kMaxGuardsCounted || by_guard_.contains(why);
    ++by_guard_[room ? why : std::string(to_string(reason)) + ": others"];
  }
  if (report_.lines.size() < kMaxRejectsListed) {
    report_.lines.push_back(
        {number, why, GuestText(std::string(text.substr(0, kMaxRejectTextBytes)))});
  }
}

void ReportWriter::count_ignored(std::string_view kind) {
  ++report_.ignored;
  auto name = printable_kind(kind);
  auto &kinds = report_.ignored_kinds;
  const auto named = [&](const RejectCount &known) { return known.reason == name; };
  auto found = std::find_if(kinds.begin(), kinds.end(), named);
  if (found == kinds.end() && kinds.size() >= kMaxIgnoredKinds) {
    name = kOtherKinds;
    found = std::find_if(kinds.begin(), kinds.end(), named);
  }
  if (found == kinds.end()) {
    kinds.push_back({name, 0});
    found = kinds.end() - 1;
  }
  ++found->count;
}

void ReportWriter::list_counts() {
  for (std::size_t i = 0; i < by_reason_.size(); ++i) {
    if (by_reason_[i] > 0) {
      report_.reasons.push_back({to_string(static_cast<RejectReason>(i)), by_reason_[i]});
    }
  }
  for (const auto &[why, count] : by_guard_) {
    report_.reasons.push_back({why, count});
  }
}

FeedReport ReportWriter::finish() {
  list_counts();
  const bool nothing = report_.accepted + report_.duplicates == 0;
  if (nothing && report_.problem.empty() && report_.note.empty()) {
    report_.problem = "no indicator in it (" + std::to_string(report_.rejected) + " rejected, ";
    if (report_.ignored != 0) {
      report_.problem += std::to_string(report_.ignored) + " ignored, ";
    }
    report_.problem += std::to_string(report_.comments) + " comment or blank lines)";
  }
  return std::move(report_);
}

FeedReport ReportWriter::refuse(std::string problem) {
  list_counts();
  report_.problem = std::move(problem);
  return std::move(report_);
}

} // namespace outguard::intel
