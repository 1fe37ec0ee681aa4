#include "intel/guards/suffix_filter.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>

#include <libpsl.h>

#include "intel/guards/suffix_filter_table.h"

namespace outguard::intel {

namespace {

constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15;
constexpr std::uint64_t kWildcard = 256; ///< more than a rule is long
constexpr int kFilterBits = std::bit_width(std::size(kSuffixFilter) * 64) - 1;

std::uint64_t eight_bytes(const char *from) {
  std::uint64_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Is there a rule like the last `size` bytes of `name`? From the length, the first and the last
/// eight bytes, as in tools/make_suffix_filter. 0 < size, and the name has eight bytes.
bool has_rule(std::string_view name, std::size_t size, std::uint64_t salt) {
  const char *end = name.data() + name.size();
  auto last = eight_bytes(end - 8);
  auto first = last;
  if (size < 8) {
    first = last = last >> (64 - 8 * size);
  } else {
    first = eight_bytes(end - size);
  }
  const auto bit = (first * kFactor + (last ^ (size | salt))) * kFactor >> (64 - kFilterBits);
  return (kSuffixFilter[bit / 64] >> (bit % 64) & 1) != 0;
}

} // namespace

bool has_suffix_filter() {
  static const bool has = [] {
    const char *sha1 = psl_builtin_sha1sum();
    return sha1 != nullptr && *sha1 != '\0' && std::strcmp(sha1, kFilteredListSha1) == 0;
  }();
  return has;
}

bool can_be_public_suffix(std::string_view name) {
  const auto dot = name.find('.');
  // A single label is a suffix, and libpsl passes over a leading dot.
  if (!has_suffix_filter() || name.size() < 8 || dot == 0 || dot == std::string_view::npos) {
    return true;
  }
  const auto parent = name.size() - dot - 1;
  // No rule is that short, but libpsl 0.21 has an answer: "x.m" is one.
  return parent < 2 || has_rule(name, name.size(), 0) || has_rule(name, parent, kWildcard);
}

} // namespace outguard::intel
