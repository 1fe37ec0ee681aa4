#include "intel/observed_url.h"

#include <cstdint>
#include <optional>

#include "intel/domain_name.h"
#include "intel/url.h"

namespace outguard::intel {

namespace {

enum Class : std::uint8_t { kOther = 0, kTarget = 1, kLabel = 2, kLetter = 4 };

/// What stands in a canonical URL as it is. Not '%', which may be an escape, and not '#'.
constexpr auto kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t c = '!'; c <= '~'; ++c) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool label = letter || (c >= '0' && c <= '9') || c == '-' || c == '_';
    const bool target = c != '%' && c != '#';
    classes[c] = static_cast<std::uint8_t>((target ? kTarget : 0) | (label ? kLabel : 0) |
                                           (letter ? kLetter : 0));
  }
  return classes;
}();

constexpr std::uint8_t class_of(char c) {
  return kClasses[static_cast<unsigned char>(c)];
}

/// Where the '/' behind a host stands that is its own canonical form; npos: no such.
std::size_t end_of_plain_host(std::string_view text) {
  std::size_t label = 0, labels = 1;
  std::uint8_t seen = 0; // in the last label
  for (std::size_t i = 0; i < text.size() && i <= kMaxNameBytes; ++i) {
    const auto kind = class_of(text[i]);
    if ((kind & kLabel) != 0) {
      seen |= kind;
      if (++label > kMaxLabelBytes) {
        return text.npos;
      }
    } else if (label == 0) {
      return text.npos;
    } else if (text[i] == '.') {
      label = seen = 0;
      ++labels;
    } else { // a last label without a letter may be of an address
      return text[i] == '/' && labels > 1 && (seen & kLetter) != 0 ? i : text.npos;
    }
  }
  return text.npos;
}

/// Without escapes, fragment and dot segments, however they are written.
bool is_plain_target(std::string_view target) {
  char before = '\0';
  for (const char c : target) {
    if ((class_of(c) & kTarget) == 0 || (c == '.' && before == '/')) {
      return false;
    }
    before = c;
  }
  return true;
}

} // namespace

ObservedUrl::ObservedUrl(std::string_view text) {
  if (!take_plain(text)) {
    make(text);
  }
}

bool ObservedUrl::take_plain(std::string_view text) {
  const std::size_t scheme = text.starts_with("http://") ? 7 : text.starts_with("https://") ? 8 : 0;
  if (scheme == 0 || text.size() > kMaxObservedUrlBytes) {
    return false;
  }
  const auto bare = text.substr(scheme);
  const auto slash = end_of_plain_host(bare);
  if (slash == bare.npos || !is_plain_target(bare.substr(slash))) {
    return false;
  }
  whole_ = {text, bare};
  target_ = bare.substr(slash);
  return true;
}

void ObservedUrl::make(std::string_view text) {
  auto url = Url::parse(text, UrlOrigin::Observed);
  if (!url) { // no list has such a host ("localhost"), but its path may be listed for any
    made_[2] = observed_target(text);
  } else {
    if (!url->scheme.empty()) {
      made_[0] = url->to_string();
    }
    made_[1] = url->without_scheme();
    made_[2] = std::move(url->target);
  }
  whole_ = {made_[0], made_[1]};
  target_ = made_[2];
}

} // namespace outguard::intel
