#include "intel/feeds/csv_reader.h"

#include <algorithm>

#include "intel/feeds/line_reader.h"

namespace outguard::intel {

namespace {

/// A broken line costs reading that many, so that a file of them is not read over and over.
constexpr std::size_t kMaxQuotedLines = 16;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

} // namespace

CsvKind CsvReader::next() {
  if (rest_.empty()) {
    return CsvKind::End;
  }
  line_ = next_line_;
  const auto first = rest_.substr(0, rest_.find('\n'));
  const auto start = trimmed(first);
  if (start.empty() || start.starts_with('#')) {
    text_ = start;
    rest_.remove_prefix(std::min(first.size() + 1, rest_.size()));
    ++next_line_;
    return start.empty() ? CsvKind::Blank : CsvKind::Comment;
  }
  const auto problem = split();
  if (problem) {
    problem_ = *problem;
    text_ = first; // go on with the line after the one that is broken
  }
  rest_.remove_prefix(std::min(text_.size() + 1, rest_.size()));
  next_line_ += 1 + static_cast<std::uint32_t>(std::count(text_.begin(), text_.end(), '\n'));
  return problem ? CsvKind::Bad : CsvKind::Record;
}

std::optional<RejectReason> CsvReader::split() {
  used_ = 0;
  std::size_t at = 0;
  while (true) {
    if (used_ == kMaxCsvFields) {
      return RejectReason::TooManyFields;
    }
    if (used_ == fields_.size()) {
      fields_.emplace_back();
    }
    auto &field = fields_[used_++];
    field.clear();
    while (at < rest_.size() && is_blank(rest_[at])) {
      ++at;
    }
    if (at < rest_.size() && rest_[at] == '"') {
      if (const auto problem = take_quoted(at, field)) {
        return problem;
      }
    } else {
      take_bare(at, field);
    }
    if (at > kMaxRecordBytes) {
      return RejectReason::LineTooLong;
    }
    if (at >= rest_.size() || rest_[at] == '\n') {
      text_ = rest_.substr(0, at);
      return std::nullopt;
    }
    ++at; // the delimiter
  }
}

std::optional<RejectReason> CsvReader::take_quoted(std::size_t &at, std::string &field) const {
  const auto end = std::min(rest_.size(), at + kMaxRecordBytes);
  std::size_t lines = 0;
  for (++at; at < end; ++at) {
    lines += rest_[at] == '\n' ? 1U : 0U;
    if (lines == kMaxQuotedLines) {
      return RejectReason::QuoteNotClosed;
    }
    if (rest_[at] != '"') {
      field += rest_[at];
    } else if (at + 1 < end && rest_[at + 1] == '"') {
      field += '"';
      ++at;
    } else {
      break;
    }
  }
  if (at >= end) {
    return RejectReason::QuoteNotClosed;
  }
  ++at;
  while (at < rest_.size() && (is_blank(rest_[at]) || rest_[at] == '\r')) {
    ++at;
  }
  const bool ends = at >= rest_.size() || rest_[at] == '\n' || rest_[at] == delimiter_;
  return ends ? std::nullopt : std::optional(RejectReason::TrailingText);
}

void CsvReader::take_bare(std::size_t &at, std::string &field) const {
  const auto start = at;
  while (at < rest_.size() && rest_[at] != delimiter_ && rest_[at] != '\n') {
    ++at;
  }
  field = trimmed(rest_.substr(start, std::min(at - start, kMaxRecordBytes)));
}

std::vector<std::string> split_record(std::string_view line, char delimiter) {
  CsvReader reader(line, delimiter);
  if (reader.next() != CsvKind::Record) {
    return {};
  }
  const auto fields = reader.fields();
  return {fields.begin(), fields.end()};
}

} // namespace outguard::intel
