#include "intel/list_parser.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace outguard::intel {

namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
/// A NUL this early means a binary file or UTF-16; a later one spoils only its line.
constexpr std::size_t kBinaryProbeBytes = 4096;

class ReportWriter {
public:
  explicit ReportWriter(const std::string &name) { report_.name = name; }

  void count(Taken taken, std::string_view line, std::uint32_t number) {
    switch (taken) {
    case Taken::Accepted:
      ++report_.accepted;
      break;
    case Taken::Duplicate:
      ++report_.duplicates;
      break;
    case Taken::Full:
      count(RejectReason::IndexFull, line, number);
      break;
    }
  }
  void count(RejectReason reason, std::string_view line, std::uint32_t number) {
    ++report_.rejected;
    ++by_reason_[static_cast<std::size_t>(reason)];
    if (report_.lines.size() < kMaxRejectsListed) {
      report_.lines.push_back(
          {number, to_string(reason), GuestText(std::string(line.substr(0, kMaxRejectTextBytes)))});
    }
  }
  void count_comment() { ++report_.comments; }

  FeedReport finish() {
    for (std::size_t i = 0; i < by_reason_.size(); ++i) {
      if (by_reason_[i] > 0) {
        report_.reasons.push_back({to_string(static_cast<RejectReason>(i)), by_reason_[i]});
      }
    }
    if (report_.accepted + report_.duplicates == 0) {
      report_.problem = "no indicator in it (" + std::to_string(report_.rejected) + " rejected, " +
                        std::to_string(report_.comments) + " comment or blank lines)";
    }
    return std::move(report_);
  }
  FeedReport refuse(std::string problem) {
    report_.problem = std::move(problem);
    return std::move(report_);
  }

private:
  FeedReport report_;
  std::array<std::uint64_t, kRejectReasons> by_reason_{};
};

} // namespace

FeedReport parse_list(const std::string &name, std::span<const std::uint8_t> bytes,
                      ReservedPolicy policy, const IndicatorSink &sink) {
  ReportWriter report(name);
  std::string_view rest(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (rest.empty()) {
    return report.refuse("empty file");
  }
  if (const auto nul = rest.substr(0, kBinaryProbeBytes).find('\0'); nul != rest.npos) {
    return report.refuse("binary data, not a list (NUL at byte " + std::to_string(nul) + ")");
  }
  if (rest.starts_with(kUtf8Mark)) {
    rest.remove_prefix(kUtf8Mark.size());
  }
  std::string_view line;
  std::uint32_t number = 0;
  const LineSink take = [&](Parsed<LineIndicator> outcome) {
    if (outcome) {
      report.count(sink(*outcome, number), line, number);
    } else {
      report.count(outcome.error(), line, number);
    }
  };
  while (!rest.empty()) {
    line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    ++number;
    if (line.size() > kMaxLineBytes) {
      report.count(RejectReason::LineTooLong, line, number);
    } else if (!parse_line(line, policy, take)) {
      report.count_comment();
    }
  }
  return report.finish();
}

} // namespace outguard::intel
