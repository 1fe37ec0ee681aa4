#pragma once
// One record with named fields -> indicators: the row of a CSV, the object in a JSON list. Lives
// for one record. No exceptions.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "intel/feeds/csv_columns.h"
#include "intel/feeds/intake.h"

namespace outguard::intel {

class FeedRow {
public:
  /// `text` and `number` are what a report shows of it. All must outlive it.
  FeedRow(std::span<const std::string> fields, std::string_view text, std::uint32_t number,
          Intake &intake)
      : fields_(fields), text_(text), number_(number), intake_(&intake) {}

  void take(const std::vector<Column> &columns);
  /// Without names of columns: the type is found from the value's look.
  void take_untyped(std::size_t column);

private:
  void read_about(const std::vector<Column> &columns);
  void take_value(const std::string &value, std::optional<IndicatorType> type);
  [[nodiscard]] std::string with_port(const std::string &value) const;
  [[nodiscard]] ReservedPolicy policy() const { return intake_->policy(); }
  void reject(RejectReason reason) { intake_->reject(reason, text_, number_); }

  std::span<const std::string> fields_;
  std::string_view text_;
  std::uint32_t number_;
  Intake *intake_;
  FeedIndicator about_; ///< all but the key
  std::string port_;
  std::string type_name_;
  bool bad_end_ = false;
};

/// nullopt: no decimal number, or a larger one.
[[nodiscard]] std::optional<unsigned> number_up_to(unsigned most, std::string_view text);

} // namespace outguard::intel
