#include "intel/feeds/csv_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "intel/feeds/csv_columns.h"
#include "intel/feeds/csv_reader.h"
#include "intel/feeds/feed_time.h"
#include "intel/feeds/line_reader.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kProbeRecords = 20;
constexpr std::size_t kUuidBytes = 36;

std::optional<unsigned> number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value <= most ? std::optional(value) : std::nullopt;
}

/// "", "-", "None" and "null" stand for nothing.
bool is_given(std::string_view field) {
  return !field.empty() && field != "-" && field != "None" && field != "null" && field != "N/A";
}

std::vector<std::string> header_in_comment(std::string_view comment, char delimiter) {
  comment.remove_prefix(std::min(comment.find_first_not_of("# \t"), comment.size()));
  return split_record(comment, delimiter);
}

/// What a file's first records tell of it.
struct Shape {
  char delimiter = ',';
  std::optional<std::vector<Column>> columns;
  bool header_is_record = false;
  std::size_t records = 0;                 ///< looked at, without the header
  std::size_t with_delimiter = 0;          ///< of these
  std::optional<std::size_t> value_column; ///< without a header: the one that holds most indicators
};

std::optional<std::size_t> best_column(const std::array<std::size_t, kMaxCsvFields> &hits) {
  const auto *const best = std::max_element(hits.begin(), hits.end());
  return *best == 0 ? std::nullopt : std::optional(static_cast<std::size_t>(best - hits.begin()));
}

Shape probe(std::string_view text, char delimiter) {
  Shape shape;
  shape.delimiter = delimiter;
  std::vector<std::string> commented;
  std::array<std::size_t, kMaxCsvFields> hits{};
  CsvReader reader(text, delimiter);
  for (auto kind = reader.next(); kind != CsvKind::End && shape.records < kProbeRecords;
       kind = reader.next()) {
    if (kind == CsvKind::Comment && shape.records == 0) {
      auto names = header_in_comment(reader.text(), delimiter);
      if (read_header(names)) {
        commented = std::move(names);
      }
    }
    if (kind != CsvKind::Record) {
      continue;
    }
    const auto fields = reader.fields();
    if (shape.records == 0 && !shape.columns) {
      if (auto columns = read_header(fields)) {
        shape.columns = std::move(columns);
        shape.header_is_record = true;
        continue;
      }
      if (commented.size() == fields.size()) { // prose in a comment seldom has as many commas
        shape.columns = read_header(commented);
      }
    }
    ++shape.records;
    shape.with_delimiter += fields.size() > 1 ? 1U : 0U;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      hits[i] += parse_indicator(fields[i], ReservedPolicy::Allow) ? 1U : 0U;
    }
  }
  if (shape.records == 0 && !shape.columns && commented.size() > 1) {
    shape.columns = read_header(commented); // nothing but a header
  }
  shape.value_column = best_column(hits);
  return shape;
}

Shape probe(std::string_view text) {
  auto shape = probe(text, ',');
  if (!shape.columns) {
    auto other = probe(text, ';');
    if (other.columns) {
      return other;
    }
  }
  return shape;
}

/// One record on its way to indicators.
class Row {
public:
  Row(const CsvReader &reader, Intake &intake)
      : reader_(&reader), fields_(reader.fields()), intake_(&intake) {}

  void take(const std::vector<Column> &columns) {
    read_about(columns);
    if (bad_end_) {
      reject(RejectReason::BadTime);
      return;
    }
    bool given = false;
    for (std::size_t i = 0; i < std::min(columns.size(), fields_.size()); ++i) {
      if (columns[i].role == ColumnRole::Value && is_given(fields_[i])) {
        given = true;
        take_value(fields_[i], columns[i].type);
      }
    }
    if (!given) {
      reject(RejectReason::MissingValue);
    }
  }

  void take_untyped(std::size_t column) {
    if (column >= fields_.size() || !is_given(fields_[column])) {
      reject(RejectReason::MissingValue);
      return;
    }
    for (std::size_t i = 0; i < fields_.size() && about_.about.description.empty(); ++i) {
      about_.about.description = i == column ? std::string() : fields_[i];
    }
    take_value(fields_[column], std::nullopt);
  }

private:
  void read_about(const std::vector<Column> &columns) {
    auto &about = about_.about;
    for (std::size_t i = 0; i < std::min(columns.size(), fields_.size()); ++i) {
      const auto &field = fields_[i];
      if (!is_given(field)) {
        continue;
      }
      switch (columns[i].role) {
      case ColumnRole::None:
      case ColumnRole::Value:
        break;
      case ColumnRole::Port:
        port_ = field;
        break;
      case ColumnRole::TypeName:
        type_name_ = field;
        break;
      case ColumnRole::Confidence:
        about_.confidence = static_cast<std::uint8_t>(number(field, 100).value_or(0));
        break;
      case ColumnRole::FirstSeen:
        about.first_seen = time_or_zero(field);
        break;
      case ColumnRole::LastSeen:
        about.last_seen = time_or_zero(field);
        break;
      case ColumnRole::ValidFrom:
        about.valid_from = time_or_zero(field);
        break;
      case ColumnRole::ValidUntil:
        about_.valid_until = time_or_zero(field);
        bad_end_ = about_.valid_until == 0;
        break;
      case ColumnRole::Tags:
        for (std::string_view rest = field; !rest.empty();) {
          add_tag(about, trimmed(take_until(rest, ',')));
        }
        break;
      case ColumnRole::About:
        about.description += (about.description.empty() ? "" : "; ") + field;
        break;
      case ColumnRole::Id:
        about.id = field;
        break;
      case ColumnRole::Tlp:
        about.tlp = parse_tlp(field);
        break;
      }
    }
  }

  void take_value(const std::string &value, std::optional<IndicatorType> type) {
    if (!type && !type_name_.empty()) {
      const auto word = read_type_word(type_name_);
      if (!word.known) {
        reject(RejectReason::TypeUnknown);
        return;
      }
      if (!word.type) {
        intake_->ignore(type_name_);
        return;
      }
      type = word.type;
    }
    const bool endpoint = type == IndicatorType::Address && !port_.empty() && port_ != "0";
    auto parsed = endpoint ? parse_value(IndicatorType::Endpoint, with_port(value), policy())
                  : type   ? parse_value(*type, value, policy())
                           : parse_indicator(value, policy());
    if (parsed) {
      if (!type) {
        intake_->retype(*parsed);
      }
      auto key = std::move(parsed->key);
      const auto scope = parsed->scope;
      const auto confidence = about_.confidence == 0 ? parsed->confidence : about_.confidence;
      *parsed = about_;
      parsed->key = std::move(key);
      parsed->scope = scope;
      parsed->confidence = confidence;
    }
    intake_->take(std::move(parsed), reader_->text(), reader_->line());
  }

  /// An address with a port beside it is that endpoint; port 0 stands for any.
  [[nodiscard]] std::string with_port(const std::string &value) const {
    const bool v6 = value.find(':') != std::string::npos;
    return v6 ? "[" + value + "]:" + port_ : value + ":" + port_;
  }

  [[nodiscard]] ReservedPolicy policy() const { return intake_->policy(); }
  void reject(RejectReason reason) { intake_->reject(reason, reader_->text(), reader_->line()); }

  const CsvReader *reader_;
  std::span<const std::string> fields_;
  Intake *intake_;
  FeedIndicator about_; ///< all but the key
  std::string port_;
  std::string type_name_;
  bool bad_end_ = false;
};

bool is_uuid(std::string_view text) {
  return text.size() == kUuidBytes && text[8] == '-' && text[13] == '-' && text[18] == '-' &&
         text[23] == '-';
}

/// The cache beside a MISP feed: digests of values, each with its event's UUID.
bool is_misp_cache(std::span<const std::string> fields) {
  return fields.size() == 2 && fields[0].size() == 32 && is_uuid(fields[1]);
}

} // namespace

bool looks_like_csv(std::string_view text) {
  const auto shape = probe(text);
  if (shape.columns && shape.columns->size() > 1) {
    return true;
  }
  return shape.value_column && shape.with_delimiter * 10 > shape.records * 8;
}

void parse_csv(std::string_view text, Intake &intake) {
  const auto shape = probe(text);
  if (!shape.columns && !shape.value_column) {
    intake.report().set_problem("no column is known to hold indicators");
    return;
  }
  bool header_due = shape.header_is_record;
  bool rows = false;
  CsvReader reader(text, shape.delimiter);
  for (auto kind = reader.next(); kind != CsvKind::End; kind = reader.next()) {
    if (kind == CsvKind::Blank || kind == CsvKind::Comment) {
      intake.report().count_comment();
      continue;
    }
    if (kind == CsvKind::Bad) {
      intake.reject(reader.problem(), reader.text(), reader.line());
      continue;
    }
    if (header_due) {
      header_due = false;
      intake.report().count_comment();
      continue;
    }
    rows = true;
    if (shape.columns) {
      Row(reader, intake).take(*shape.columns);
    } else if (is_misp_cache(reader.fields())) {
      intake.ignore("digest of a MISP event's value");
      intake.report().set_note("the cache of a MISP feed: digests of values, no indicators");
    } else {
      Row(reader, intake).take_untyped(*shape.value_column);
    }
  }
  if (!rows) {
    intake.report().set_problem("a header and no rows");
  }
}

bool looks_like_iprep(std::string_view text) {
  CsvReader reader(text);
  std::size_t records = 0;
  for (auto kind = reader.next(); kind != CsvKind::End && records < kProbeRecords;
       kind = reader.next()) {
    if (kind == CsvKind::Blank || kind == CsvKind::Comment) {
      continue;
    }
    const auto fields = reader.fields();
    if (kind == CsvKind::Bad || fields.size() != 3 || !number(fields[1], 60) ||
        !number(fields[2], 127) || fields[0].find_first_of(".:") == std::string::npos) {
      return false;
    }
    ++records;
  }
  return records > 0;
}

void parse_iprep(std::string_view text, Intake &intake) {
  CsvReader reader(text);
  for (auto kind = reader.next(); kind != CsvKind::End; kind = reader.next()) {
    const auto fields = reader.fields();
    if (kind == CsvKind::Blank || kind == CsvKind::Comment) {
      intake.report().count_comment();
      continue;
    }
    if (kind == CsvKind::Bad || fields.size() != 3) {
      intake.reject(kind == CsvKind::Bad ? reader.problem() : RejectReason::MissingValue,
                    reader.text(), reader.line());
      continue;
    }
    const auto score = number(fields[2], 127);
    if (!score) {
      intake.reject(RejectReason::BadConfidence, reader.text(), reader.line());
      continue;
    }
    if (*score == 0) {
      intake.ignore("score of 0");
      continue;
    }
    auto parsed = parse_value(IndicatorType::Address, fields[0], intake.policy());
    if (parsed) {
      parsed->confidence = static_cast<std::uint8_t>(std::max(1U, *score * 100 / 127));
      add_tag(parsed->about, "category-" + fields[1]);
    }
    intake.take(std::move(parsed), reader.text(), reader.line());
  }
}

} // namespace outguard::intel
