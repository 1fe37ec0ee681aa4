#pragma once
// Splits CSV into records: RFC 4180 quoting, blanks around delimiters dropped, `#` comment lines
// told apart. Reuses one record's memory. One thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "intel/reject_reason.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxRecordBytes = 16384; ///< a URL, and columns of prose and tags
inline constexpr std::size_t kMaxCsvFields = 64;

enum class CsvKind : std::uint8_t { End, Blank, Comment, Record, Bad };

class CsvReader {
public:
  explicit CsvReader(std::string_view text, char delimiter = ',')
      : rest_(text), delimiter_(delimiter) {}

  [[nodiscard]] CsvKind next();
  /// Of a Record, valid until the next call.
  [[nodiscard]] std::span<const std::string> fields() const { return {fields_.data(), used_}; }
  [[nodiscard]] RejectReason problem() const { return problem_; } ///< of a Bad one
  [[nodiscard]] std::string_view text() const { return text_; }   ///< as it stands in the file
  [[nodiscard]] std::uint32_t line() const { return line_; }      ///< its first, from 1

private:
  [[nodiscard]] std::optional<RejectReason> split();
  /// Reads one field from `at` on; false: a quote is not closed.
  [[nodiscard]] std::optional<RejectReason> take_quoted(std::size_t &at, std::string &field) const;
  void take_bare(std::size_t &at, std::string &field) const;

  std::string_view rest_;
  char delimiter_;
  std::string_view text_;
  std::uint32_t line_ = 0;
  std::uint32_t next_line_ = 1;
  std::vector<std::string> fields_;
  std::size_t used_ = 0;
  RejectReason problem_ = RejectReason::TooManyFields;
};

/// A single record given apart, e.g. a header in a comment; empty when it is malformed.
[[nodiscard]] std::vector<std::string> split_record(std::string_view line, char delimiter);

} // namespace outguard::intel
