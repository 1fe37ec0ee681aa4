#include "intel/domain_name.h"

#include <algorithm>
#include <array>

#include "intel/idna.h"
#include "intel/lower_copy.h"

namespace outguard::intel {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Hyphens may stand anywhere: names that break RFC 952 there resolve all the same, and are listed.
constexpr auto kLabelCharacters = [] {
  std::array<bool, 256> found{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyz0123456789-_")) {
    found[static_cast<unsigned char>(c)] = true;
  }
  return found;
}();

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
  lower_copy(text, name.data());

  std::size_t labels = 1, start = 0; // of the label that the loop is in
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '.') {
      if (i == start || i - start > kMaxLabelBytes) {
        return reject(RejectReason::BadLabel);
      }
      start = i + 1;
      ++labels;
    } else if (!kLabelCharacters[static_cast<unsigned char>(name[i])]) {
      return reject(RejectReason::BadLabel);
    }
  }
  const auto label = std::string_view(name).substr(start);
  if (label.empty() || label.size() > kMaxLabelBytes) {
    return reject(RejectReason::BadLabel);
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
