#include "intel/feeds/json_records.h"

#include "intel/feeds/csv_reader.h"
#include "intel/feeds/line_reader.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kMaxRecordDepth = 5; ///< {"results":[{"indicators":[{...}]}]}
constexpr std::size_t kMaxRecordMembers = 64;
constexpr std::size_t kMaxMemberName = 40; ///< a longer one is no column's
constexpr std::size_t kMaxJsonLineBytes = std::size_t{1} << 20;

/// A member as the field of a CSV: a list of texts is one text with commas. No indicator is as long
/// as what is cut here.
std::string field_of(const element &value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    return std::string(text.substr(0, kMaxRecordBytes));
  }
  if (const auto number = number_of(value)) {
    return std::to_string(*number);
  }
  std::string list;
  for_each(value, [&](const element &item) {
    if (list.size() < kMaxRecordBytes) {
      list.append(list.empty() ? "" : ",").append(text_of(item).substr(0, kMaxRecordBytes));
    }
  });
  return list;
}

class RecordReader {
public:
  explicit RecordReader(JsonFeedVisitor &visitor) : visitor_(&visitor) {}

  void walk(const element &value, std::size_t depth) {
    if (depth == kMaxRecordDepth) {
      return;
    }
    for_each(value, [&](const element &item) {
      object given;
      ++number_;
      if (item.get(given) != simdjson::SUCCESS || take(given, number_)) {
        return;
      }
      const auto before = taken_;
      walk(item, depth + 1);
      if (taken_ != 0 && taken_ == before) {
        visitor_->on_other_object();
      }
    });
    if (object given; value.get(given) == simdjson::SUCCESS) {
      for (const auto &[key, inner] : given) {
        walk(inner, depth + 1);
      }
    }
  }

  /// False: no member is known to hold an indicator.
  bool take(const object &given, std::uint32_t number) {
    names_.clear();
    fields_.clear();
    for (const auto &[key, value] : given) {
      if (names_.size() < kMaxRecordMembers) {
        names_.emplace_back(key.size() <= kMaxMemberName ? key : std::string_view());
        fields_.push_back(field_of(value));
      }
    }
    if (names_ != known_names_) { // most records of a list have the same members
      columns_ = read_header(names_);
      known_names_ = names_;
    }
    if (columns_) {
      ++taken_;
      visitor_->on_record({*columns_, fields_}, number);
    }
    return columns_.has_value();
  }
  [[nodiscard]] bool any() const { return taken_ != 0; }

private:
  JsonFeedVisitor *visitor_;
  std::vector<std::string> names_, fields_, known_names_;
  std::optional<std::vector<Column>> columns_;
  std::uint32_t number_ = 0;
  std::uint64_t taken_ = 0;
};

} // namespace

bool read_records(const element &root, JsonFeedVisitor &visitor) {
  RecordReader records(visitor);
  records.walk(root, 0);
  return records.any();
}

bool read_record_lines(std::string_view text, JsonFeedVisitor &visitor) {
  simdjson::dom::parser parser;
  RecordReader records(visitor);
  if (parser.allocate(kMaxJsonLineBytes, kMaxJsonDepth) != simdjson::SUCCESS) {
    return false;
  }
  for (LineReader lines(text); lines.next();) {
    const auto line = trimmed(lines.line());
    element root;
    object given;
    if (line.empty()) {
      continue;
    }
    const bool sound = line.size() <= kMaxJsonLineBytes &&
                       parse_document(parser, line, root) == simdjson::SUCCESS &&
                       root.get(given) == simdjson::SUCCESS;
    const bool taken = sound && records.take(given, lines.number());
    if (!records.any()) {
      return false;
    }
    if (!sound) {
      visitor.on_bad_line(line, lines.number());
    } else if (!taken) {
      visitor.on_other_object();
    }
  }
  return records.any();
}

} // namespace outguard::intel
