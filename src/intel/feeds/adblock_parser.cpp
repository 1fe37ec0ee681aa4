#include "intel/feeds/adblock_parser.h"

#include <algorithm>

#include "intel/feeds/line_reader.h"
#include "intel/line_parser.h"
#include "intel/list_parser.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kProbeLines = 200;

bool is_comment(std::string_view line) {
  return line.empty() || line.starts_with('!') || line.starts_with("# ") || line == "#" ||
         (line.starts_with('[') && line.ends_with(']') && line.find("dblock") != line.npos);
}

/// Options that leave "this host, always" as it is; any other narrows the rule to some pages.
bool keeps_meaning(std::string_view options) {
  while (!options.empty()) {
    const auto option = take_until(options, ',');
    if (option != "important" && option != "all" && option != "document" &&
        option != "third-party" && option != "3p" && option != "doc") {
      return false;
    }
  }
  return true;
}

void take_rule(std::string_view rule, std::uint32_t number, Intake &intake) {
  auto body = rule.substr(2);
  const auto options = body.find('$');
  if (options != body.npos) {
    if (!keeps_meaning(body.substr(options + 1))) {
      intake.ignore("rule for some requests only");
      return;
    }
    body = body.substr(0, options);
  }
  if (body.ends_with('|')) {
    body.remove_suffix(1);
  }
  if (!body.ends_with('^')) {
    if (body.find_first_of("/*^") != body.npos) {
      intake.ignore("rule on a path or with wildcards");
    } else {
      intake.reject(RejectReason::BadRule, rule, number);
    }
    return;
  }
  body.remove_suffix(1);
  if (body.starts_with("*.")) {
    body.remove_prefix(2);
  }
  if (body.find_first_of("/*^") != body.npos) {
    intake.ignore("rule on a path or with wildcards");
    return;
  }
  intake.take(parse_indicator(body, intake.policy()), rule, number);
}

} // namespace

bool looks_like_adblock(std::string_view text) {
  std::size_t seen = 0;
  for (LineReader lines(text); lines.next() && seen < kProbeLines; ++seen) {
    const auto line = trimmed(lines.line());
    if ((line.starts_with("||") || line.starts_with("@@||")) && line.find('^') != line.npos) {
      return true;
    }
    if (line.starts_with("[Adblock")) {
      return true;
    }
  }
  return false;
}

void parse_adblock(std::string_view text, Intake &intake) {
  for (LineReader lines(text); lines.next();) {
    const auto line = trimmed(lines.line());
    if (is_comment(line)) { // NOLINT(bugprone-branch-clone): the order of the questions counts
      intake.report().count_comment();
    } else if (line.size() > kMaxLineBytes) {
      intake.reject(RejectReason::LineTooLong, line, lines.number());
    } else if (line.starts_with("@@")) {
      intake.ignore("exception");
    } else if (line.starts_with("||")) {
      take_rule(line, lines.number(), intake);
    } else if (line.find("##") != line.npos || line.find("#@#") != line.npos ||
               line.find("#?#") != line.npos || line.find("#$#") != line.npos ||
               line.find("#%#") != line.npos) {
      intake.ignore("rule on parts of pages");
    } else if (line.find_first_of("*^$|") != line.npos || line.front() == '/') {
      intake.ignore("rule on a path or with wildcards");
    } else if (!parse_line(line, intake.policy(), [&](Parsed<FeedIndicator> parsed) {
                 intake.take(std::move(parsed), line, lines.number());
               })) {
      intake.report().count_comment();
    }
  }
}

} // namespace outguard::intel
