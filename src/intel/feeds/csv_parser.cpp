#include "intel/feeds/csv_parser.h"

#include <algorithm>
#include <array>

#include "intel/feeds/csv_columns.h"
#include "intel/feeds/csv_reader.h"
#include "intel/feeds/feed_row.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kProbeRecords = 20;
constexpr std::size_t kUuidBytes = 36;

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
      FeedRow(reader.fields(), reader.text(), reader.line(), intake).take(*shape.columns);
    } else if (is_misp_cache(reader.fields())) {
      intake.ignore("digest of a MISP event's value");
      intake.report().set_note("the cache of a MISP feed: digests of values, no indicators");
    } else {
      FeedRow(reader.fields(), reader.text(), reader.line(), intake)
          .take_untyped(*shape.value_column);
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
    if (kind == CsvKind::Bad || fields.size() != 3 || !number_up_to(60, fields[1]) ||
        !number_up_to(127, fields[2]) || fields[0].find_first_of(".:") == std::string::npos) {
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
    const auto score = number_up_to(127, fields[2]);
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
