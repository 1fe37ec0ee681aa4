#include "intel/feeds/zeek_parser.h"

#include <array>
#include <charconv>
#include <optional>

#include "intel/feeds/line_reader.h"
#include "intel/list_parser.h"

namespace outguard::intel {

namespace {

constexpr std::string_view kFields = "#fields";
constexpr std::size_t kMaxColumns = 32;

struct TypeName {
  std::string_view name;
  std::optional<IndicatorType> type; ///< none: Zeek knows it, and it is nothing for this product
};

constexpr TypeName kTypes[] = {
    {"Intel::ADDR", IndicatorType::Address},
    {"Intel::SUBNET", IndicatorType::Network},
    {"Intel::DOMAIN", IndicatorType::Domain},
    {"Intel::URL", IndicatorType::Url},
    {"Intel::FILE_HASH", std::nullopt}, // of the length that tells which
    {"Intel::CERT_HASH", IndicatorType::CertificateSha1},
    {"Intel::JA3", IndicatorType::Ja3}, // of the JA3 and HASSH packages
    {"Intel::JA4", IndicatorType::Ja4},
    {"Intel::HASSH", IndicatorType::Hassh},
    {"Intel::EMAIL", std::nullopt},
    {"Intel::SOFTWARE", std::nullopt},
    {"Intel::USER_NAME", std::nullopt},
    {"Intel::FILE_NAME", std::nullopt},
    {"Intel::PUBKEY_HASH", std::nullopt},
};

/// Where the columns stand that are of use.
struct Columns {
  std::optional<std::size_t> indicator, type, source, description, url, confidence;
  std::size_t count = 0;
};

std::optional<Columns> read_fields(std::string_view line) {
  if (!line.starts_with(kFields)) {
    return std::nullopt;
  }
  line.remove_prefix(kFields.size());
  line.remove_prefix(line.starts_with('\t') ? 1 : 0);
  Columns columns;
  for (; !line.empty() && columns.count < kMaxColumns; ++columns.count) {
    const auto name = trimmed(take_until(line, '\t'));
    const auto at = columns.count;
    if (name == "indicator") {
      columns.indicator = at;
    } else if (name == "indicator_type") {
      columns.type = at;
    } else if (name == "meta.source") {
      columns.source = at;
    } else if (name == "meta.desc") {
      columns.description = at;
    } else if (name == "meta.url") {
      columns.url = at;
    } else if (name == "meta.confidence") {
      columns.confidence = at;
    }
  }
  return columns;
}

using Row = std::array<std::string_view, kMaxColumns>;

std::string_view field(const Row &row, const std::optional<std::size_t> &column) {
  const auto text = column ? row[*column] : std::string_view();
  return text == "-" || text == "(empty)" ? std::string_view() : text;
}

std::uint8_t percent(std::string_view text) {
  double value = 0; // seen as "8.5" of packages that give tenths
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= 1 && value <= 100
             ? static_cast<std::uint8_t>(value)
             : std::uint8_t{0};
}

void take_row(const Row &row, const Columns &columns, std::string_view line, std::uint32_t number,
              Intake &intake) {
  const auto value = field(row, columns.indicator);
  const auto type_name = field(row, columns.type);
  if (value.empty() || type_name.empty()) {
    intake.reject(RejectReason::MissingValue, line, number);
    return;
  }
  const auto *const known =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const TypeName &type) { return type.name == type_name; });
  if (known == std::end(kTypes)) {
    intake.reject(RejectReason::TypeUnknown, line, number);
    return;
  }
  const bool file = type_name == "Intel::FILE_HASH";
  if (!known->type && !file) {
    intake.ignore(type_name);
    return;
  }
  auto parsed = file ? parse_indicator(value, intake.policy())
                     : parse_value(*known->type, value, intake.policy());
  if (parsed && file) {
    const auto type = parsed->key.type;
    if (type != IndicatorType::FileMd5 && type != IndicatorType::FileSha1 &&
        type != IndicatorType::FileSha256) {
      intake.reject(RejectReason::BadHash, line, number);
      return;
    }
  }
  if (parsed) {
    parsed->scope = MatchScope::Exact;
    const auto description = field(row, columns.description);
    parsed->about.description = description.empty() ? field(row, columns.url) : description;
    add_tag(parsed->about, field(row, columns.source));
    if (const auto confidence = percent(field(row, columns.confidence)); confidence != 0) {
      parsed->confidence = confidence;
    }
  }
  intake.take(std::move(parsed), line, number);
}

} // namespace

bool looks_like_zeek_intel(std::string_view text) {
  for (LineReader lines(text); lines.next();) {
    if (const auto columns = read_fields(lines.line())) {
      return columns->indicator && columns->type;
    }
    if (!lines.line().empty() && !lines.line().starts_with('#')) {
      return false;
    }
  }
  return false;
}

void parse_zeek_intel(std::string_view text, Intake &intake) {
  std::optional<Columns> columns;
  bool rows = false;
  for (LineReader lines(text); lines.next();) {
    const auto line = lines.line();
    if (line.empty() || line.starts_with('#')) {
      intake.report().count_comment();
      if (const auto given = read_fields(line)) {
        columns = given;
      }
      continue;
    }
    rows = true;
    if (!columns || !columns->indicator || !columns->type) {
      intake.reject(RejectReason::TypeUnknown, line, lines.number());
      continue;
    }
    if (line.size() > kMaxLineBytes) {
      intake.reject(RejectReason::LineTooLong, line, lines.number());
      continue;
    }
    Row row{};
    auto rest = line;
    for (std::size_t i = 0; i < columns->count; ++i) {
      row[i] = trimmed(take_until(rest, '\t'));
    }
    take_row(row, *columns, line, lines.number(), intake);
  }
  if (!rows) {
    intake.report().set_problem("a header and no rows");
  }
}

} // namespace outguard::intel
