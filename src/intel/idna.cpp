#include "intel/idna.h"

#include <memory>

#include <idn2.h>

namespace outguard::intel {

namespace {

struct Free {
  void operator()(char *text) const { idn2_free(text); }
};
using Text = std::unique_ptr<char, Free>;

} // namespace

bool is_international(std::string_view name) {
  unsigned all = 0; // no early end: eight and more bytes at a time
  for (const char c : name) {
    all |= static_cast<unsigned char>(c);
  }
  return (all & 0x80) != 0;
}

std::optional<std::string> to_a_labels(std::string_view name) {
  if (name.size() > kMaxUnicodeNameBytes || name.find('\0') != name.npos) {
    return std::nullopt;
  }
  const std::string given(name);
  char *raw = nullptr;
  if (idn2_to_ascii_8z(given.c_str(), &raw, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK) {
    return std::nullopt;
  }
  return std::string(Text(raw).get());
}

std::optional<std::string> to_u_labels(std::string_view name) {
  if (name.size() > kMaxUnicodeNameBytes || name.find("xn--") == name.npos ||
      name.find('\0') != name.npos) {
    return std::nullopt;
  }
  const std::string given(name);
  char *raw = nullptr;
  if (idn2_to_unicode_8z8z(given.c_str(), &raw, 0) != IDN2_OK) {
    return std::nullopt;
  }
  return std::string(Text(raw).get());
}

} // namespace outguard::intel
