#include "intel/list_parser.h"

#include <algorithm>
#include <string_view>

#include "intel/domain_name.h"
#include "intel/report_writer.h"

namespace outguard::intel {

namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
/// A NUL this early means a binary file or UTF-16; a later one spoils only its line.
constexpr std::size_t kBinaryProbeBytes = 4096;

/// Lists of senders are told apart from broken lines.
bool is_mail_address(std::string_view line) {
  const auto at = line.find('@');
  const auto start = line.find_first_not_of(" \t");
  const auto end = line.find_last_not_of(" \t\r");
  return at != line.npos && at > start && at < end &&
         line.find_first_of(" \t/:@", at + 1) >= end + 1 &&
         line.substr(0, at).find_first_of("/:") == line.npos &&
         normalise_domain(line.substr(at + 1, end - at)).has_value();
}

} // namespace

FeedReport parse_list(const std::string &name, std::span<const std::uint8_t> bytes,
                      ReservedPolicy policy, const FeedSink &sink) {
  ReportWriter report(name);
  report.set_format("list");
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
  const LineSink take = [&](Parsed<FeedIndicator> &&outcome) {
    if (outcome) {
      report.count(sink(*outcome, number), line, number);
    } else if (is_mail_address(line)) {
      report.count_ignored("e-mail address");
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
