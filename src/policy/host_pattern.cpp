#include "policy/host_pattern.h"

#include <algorithm>

namespace outguard::policy {

namespace {

constexpr std::size_t kMostName = 253; // RFC 1035, section 2.3.4, without length bytes
constexpr std::size_t kMostLabel = 63;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view without_last_dot(std::string_view name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

bool same(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

bool is_name_byte(char c) {
  const char small = lower(c);
  return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

} // namespace

bool is_host_pattern(std::string_view pattern) {
  auto rest = without_last_dot(pattern);
  if (rest.starts_with("*.")) {
    rest.remove_prefix(2);
  }
  if (rest.size() > kMostName) {
    return false;
  }
  while (true) {
    const auto label = rest.substr(0, rest.find('.'));
    if (label.empty() || label.size() > kMostLabel ||
        !std::all_of(label.begin(), label.end(), is_name_byte)) {
      return false;
    }
    if (label.size() == rest.size()) {
      return true;
    }
    rest.remove_prefix(label.size() + 1);
  }
}

bool host_matches(std::string_view pattern, std::string_view host) {
  pattern = without_last_dot(pattern);
  host = without_last_dot(host);
  if (!pattern.starts_with("*.")) {
    return same(pattern, host);
  }
  pattern.remove_prefix(1); // keeps the dot: "bad-example.com" is not below "example.com"
  return host.size() > pattern.size() && same(pattern, host.substr(host.size() - pattern.size()));
}

} // namespace outguard::policy
