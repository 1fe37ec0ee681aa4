#include "intel/feeds/feed_row.h"

#include <algorithm>
#include <charconv>

#include "intel/feeds/feed_time.h"
#include "intel/feeds/line_reader.h"

namespace outguard::intel {

namespace {

/// "", "-", "None" and "null" stand for nothing.
bool is_given(std::string_view field) {
  return !field.empty() && field != "-" && field != "None" && field != "null" && field != "N/A";
}

} // namespace

std::optional<unsigned> number_up_to(unsigned most, std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value <= most ? std::optional(value) : std::nullopt;
}

void FeedRow::take(const std::vector<Column> &columns) {
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

void FeedRow::take_untyped(std::size_t column) {
  if (column >= fields_.size() || !is_given(fields_[column])) {
    reject(RejectReason::MissingValue);
    return;
  }
  for (std::size_t i = 0; i < fields_.size() && about_.about.description.empty(); ++i) {
    about_.about.description = i == column ? std::string() : fields_[i];
  }
  take_value(fields_[column], std::nullopt);
}

void FeedRow::read_about(const std::vector<Column> &columns) {
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
      about_.confidence = static_cast<std::uint8_t>(number_up_to(100, field).value_or(0));
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

void FeedRow::take_value(const std::string &value, std::optional<IndicatorType> type) {
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
  if (type == IndicatorType::Url && value.ends_with("/*") && !value.starts_with('/')) {
    type.reset(); // all that begins with it, as in a list
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
  intake_->take(std::move(parsed), text_, number_);
}

/// An address with a port beside it is that endpoint; port 0 stands for any.
std::string FeedRow::with_port(const std::string &value) const {
  const bool v6 = value.find(':') != std::string::npos;
  return v6 ? "[" + value + "]:" + port_ : value + ":" + port_;
}

} // namespace outguard::intel
