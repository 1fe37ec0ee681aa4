#include "store/check_row.h"

#include "store/json_value.h"

namespace outguard::store {

std::string check_json(const CheckRow &check) {
  using Level = CheckRow::Level;
  return line({{"check", text(check.what)},
               {"ok", check.level != Level::Problem},
               {"level", check.level == Level::Ok     ? "ok"
                         : check.level == Level::Note ? "note"
                                                      : "problem"},
               {"reason", text_or_null(check.reason)},
               {"remedy", text_or_null(check.remedy)}});
}

} // namespace outguard::store
