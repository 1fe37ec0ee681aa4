#include "intel/feeds/rpz_parser.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "intel/feeds/line_reader.h"
#include "intel/list_parser.h"
#include "intel/lower_copy.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kProbeLines = 200;
constexpr std::size_t kMaxWords = 16;
constexpr unsigned kMaxSpreadLines = 16; ///< of one record; a SOA takes eight at most

/// A line without its comment and what stands in quotes, where no mark means anything.
struct PlainLine {
  std::string text;         ///< parentheses are blanks: all they do is to join lines
  std::ptrdiff_t opens = 0; ///< parentheses, less those that it closes
};

PlainLine plain_line(std::string_view line) {
  PlainLine plain;
  bool quoted = false;
  for (std::size_t at = 0; at < line.size() && (quoted || line[at] != ';'); ++at) {
    const char c = line[at];
    const auto escaped = c == '\\' ? line.substr(at, 2) : std::string_view();
    at += escaped.empty() ? 0 : escaped.size() - 1;
    if (c == '"') {
      quoted = !quoted;
      plain.text += c;
    } else if (!quoted) {
      plain.opens += c == '(' ? 1 : c == ')' ? -1 : 0;
      plain.text += !escaped.empty()       ? escaped
                    : c == '(' || c == ')' ? std::string_view(" ")
                                           : std::string_view(&line[at], 1);
    }
  }
  return plain;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (words.size() < kMaxWords) {
    const auto start = line.find_first_not_of(" \t");
    if (start == line.npos) {
      break;
    }
    line.remove_prefix(start);
    words.push_back(line.substr(0, line.find_first_of(" \t")));
    line.remove_prefix(words.back().size());
  }
  return words;
}

bool is_ttl(std::string_view word) {
  return !word.empty() && word.front() >= '0' && word.front() <= '9' &&
         word.find_first_not_of("0123456789smhdwSMHDW") == word.npos;
}

struct Record {
  std::string_view owner; ///< empty: that of the record before
  std::string type;       ///< lower case
  std::string_view data;  ///< its first word
};

/// owner [ttl] [class] type data, in either order of the two in the middle.
std::optional<Record> read_record(std::string_view line) {
  auto words = words_of(line);
  Record record;
  std::size_t at = 0;
  if (!words.empty() && line.front() != ' ' && line.front() != '\t') {
    record.owner = words[at++];
  }
  for (int i = 0; i < 2 && at < words.size(); ++i) {
    if (is_ttl(words[at]) || lowered(words[at]) == "in") {
      ++at;
    }
  }
  if (at + 1 >= words.size()) {
    return std::nullopt;
  }
  record.type = lowered(words[at]);
  record.data = words[at + 1];
  return record;
}

bool is_rpz_action(const Record &record) {
  if (record.type != "cname") {
    return false;
  }
  const auto data = lowered(record.data);
  return data == "." || data == "*." || data.starts_with("rpz-");
}

/// "24.0.2.0.192" -> "192.0.2.0/24"; "128.1.zz.db8.2001" -> "2001:db8::1/128".
std::optional<std::string> address_of(std::string_view trigger) {
  std::vector<std::string_view> parts;
  while (!trigger.empty() && parts.size() < 10) {
    parts.push_back(take_until(trigger, '.'));
  }
  if (parts.size() < 3 || !trigger.empty()) {
    return std::nullopt;
  }
  const auto is_zero_run = [](std::string_view part) { return part == "zz"; };
  const bool v4 = parts.size() == 5 && std::none_of(parts.begin(), parts.end(), is_zero_run);
  std::string text;
  for (auto part = parts.rbegin(); part + 1 != parts.rend(); ++part) {
    const bool first = part == parts.rbegin();
    const bool last = part + 2 == parts.rend();
    if (is_zero_run(*part)) {
      text += first ? "::" : last ? "::" : ":";
      continue;
    }
    const bool after_run = text.ends_with("::");
    text += first || after_run ? "" : v4 ? "." : ":";
    text += *part;
  }
  text += "/";
  text += parts.front();
  return text;
}

class Zone {
public:
  explicit Zone(Intake &intake) : intake_(&intake) {}

  void take(std::string_view line, std::uint32_t number) {
    auto plain = plain_line(line);
    if (spread_lines_ != 0 || plain.opens > 0) {
      take_spread(plain, line, number);
    } else if (line.starts_with('$')) {
      take_directive(plain.text);
    } else {
      take_whole(plain.text, line, number);
    }
  }

  void finish() {
    if (spread_lines_ != 0) {
      give_up();
    }
  }

private:
  /// Gathers the lines of a record until the last parenthesis is closed.
  void take_spread(const PlainLine &plain, std::string_view line, std::uint32_t number) {
    if (spread_lines_++ == 0) {
      spread_.clear();
      spread_start_ = line;
      spread_number_ = number;
    } else {
      intake_->report().count_comment();
    }
    spread_ += plain.text + ' ';
    open_ += plain.opens;
    if (open_ <= 0) {
      const auto start = std::exchange(spread_start_, {});
      end_spread();
      take_whole(spread_, start, spread_number_);
    } else if (spread_lines_ == kMaxSpreadLines) {
      give_up();
    }
  }
  /// An open parenthesis must not swallow the rest of the zone.
  void give_up() {
    intake_->reject(RejectReason::BadRecord, spread_start_, spread_number_);
    end_spread();
  }
  void end_spread() {
    spread_lines_ = 0;
    open_ = 0;
  }

  void take_whole(std::string_view text, std::string_view line, std::uint32_t number) {
    const auto record = read_record(text);
    if (!record) {
      intake_->reject(RejectReason::BadRecord, line, number);
      return;
    }
    if (!record->owner.empty()) {
      owner_ = lowered(record->owner);
    }
    take_record(*record, line, number);
  }

  void take_directive(std::string_view line) {
    const auto words = words_of(line);
    if (words.size() > 1 && lowered(words[0]) == "$origin") {
      origin_.clear();
      note_origin(words[1]);
    }
    intake_->report().count_comment();
  }

  void note_origin(std::string_view name) {
    if (origin_.empty() && name.size() > 1 && name.ends_with('.')) {
      origin_ = lowered(name.substr(0, name.size() - 1));
    }
  }

  void take_record(const Record &record, std::string_view line, std::uint32_t number) {
    if (record.type == "soa") {
      note_origin(owner_);
    }
    if (record.type == "soa" || record.type == "ns" || owner_ == "@") {
      intake_->report().count_comment();
      return;
    }
    if (record.type == "txt" || record.type.starts_with("rrsig") || record.type == "dnskey") {
      intake_->ignore("record of type " + record.type);
      return;
    }
    const auto name = relative_name();
    if (!name) {
      intake_->reject(RejectReason::OutsideZone, line, number);
      return;
    }
    if (lowered(record.data).starts_with("rpz-passthru")) {
      intake_->ignore("exception (rpz-passthru)");
      return;
    }
    take_trigger(*name, line, number);
  }

  /// Without the zone's own name; nullopt: not in the zone.
  [[nodiscard]] std::optional<std::string> relative_name() const {
    if (!owner_.ends_with('.')) {
      return owner_;
    }
    const auto name = owner_.substr(0, owner_.size() - 1);
    if (origin_.empty()) {
      return name;
    }
    if (!name.ends_with("." + origin_)) {
      return std::nullopt;
    }
    return name.substr(0, name.size() - origin_.size() - 1);
  }

  void take_trigger(std::string_view name, std::string_view line, std::uint32_t number) {
    constexpr std::string_view kAddress = ".rpz-ip";
    for (const std::string_view other : {".rpz-nsip", ".rpz-nsdname", ".rpz-client-ip"}) {
      if (name.ends_with(other)) {
        intake_->ignore("trigger " + std::string(other.substr(1)));
        return;
      }
    }
    if (name.ends_with(kAddress)) {
      const auto address = address_of(name.substr(0, name.size() - kAddress.size()));
      intake_->take(address ? parse_value(IndicatorType::Address, *address, intake_->policy())
                            : intel::reject(RejectReason::BadAddress),
                    line, number);
      return;
    }
    const bool wildcard = name.starts_with("*.");
    auto parsed = parse_value(IndicatorType::Domain, name, intake_->policy());
    if (parsed) {
      parsed->scope = wildcard ? MatchScope::WithSubdomains : MatchScope::Exact;
    }
    intake_->take(std::move(parsed), line, number);
  }

  Intake *intake_;
  std::string origin_; ///< without the last dot; empty: not known
  std::string owner_;
  std::string spread_; ///< a record over several lines, as far as it was read
  std::string_view spread_start_;
  std::uint32_t spread_number_ = 0;
  unsigned spread_lines_ = 0; ///< 0: there is none
  std::ptrdiff_t open_ = 0;   ///< its parentheses
};

} // namespace

bool looks_like_rpz(std::string_view text) {
  std::size_t seen = 0;
  for (LineReader lines(text); lines.next() && seen < kProbeLines; ++seen) {
    if (lines.line().empty() || lines.line().starts_with(';') ||
        lines.line().size() > kMaxLineBytes) {
      continue;
    }
    const auto plain = plain_line(lines.line());
    if (const auto record = read_record(plain.text); record && is_rpz_action(*record)) {
      return true;
    }
  }
  return false;
}

void parse_rpz(std::string_view text, Intake &intake) {
  Zone zone(intake);
  for (LineReader lines(text); lines.next();) {
    const auto line = lines.line();
    if (line.size() > kMaxLineBytes) {
      intake.reject(RejectReason::LineTooLong, line, lines.number());
    } else if (const auto start = line.find_first_not_of(" \t");
               start == line.npos || line[start] == ';') {
      intake.report().count_comment();
    } else {
      zone.take(line, lines.number());
    }
  }
  zone.finish();
}

} // namespace outguard::intel
