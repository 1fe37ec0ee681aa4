#include "intel/domain_name.h"

#include <algorithm>

#include "intel/idna.h"

namespace outguard::intel {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Hyphens may stand anywhere: names that break RFC 952 there resolve all the same, and are listed.
bool is_label_character(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabelBytes &&
         std::all_of(label.begin(), label.end(), is_label_character);
}

} // namespace

Parsed<std::string> normalise_domain(std::string_view text) {
  if (text.ends_with('.')) {
    text.remove_suffix(1);
  }
  if (is_international(text)) {
    const auto labels = to_a_labels(text);
    return labels ? normalise_domain(*labels) : reject(RejectReason::BadIdna);
  }
  if (text.size() > kMaxNameBytes) {
    return reject(RejectReason::NameTooLong);
  }
  std::string name(text.size(), '\0');
  std::transform(text.begin(), text.end(), name.begin(), ascii_lower);

  std::size_t labels = 0;
  std::string_view label;
  for (std::size_t start = 0; start <= name.size(); start += label.size() + 1) {
    label = std::string_view(name).substr(start, name.find('.', start) - start);
    if (!is_label(label)) {
      return reject(RejectReason::BadLabel);
    }
    ++labels;
  }
  if (std::all_of(label.begin(), label.end(), is_digit)) {
    return reject(RejectReason::BadAddress);
  }
  if (labels < 2) {
    return reject(RejectReason::SingleLabel);
  }
  return name;
}

std::size_t behind_escapes(std::string_view name) {
  const auto last = name.rfind('\\');
  if (last == name.npos) {
    return 0;
  }
  const auto before = name.find_last_not_of('\\', last); // a run of even length escapes itself
  const auto run = before == name.npos ? last + 1 : last - before;
  const auto dot = name.find('.', last + 1 + run % 2);
  return dot == name.npos ? name.npos : dot + 1;
}

} // namespace outguard::intel
