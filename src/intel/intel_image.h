#pragma once
// Look-ups in an index image. Holds a view: whoever mapped the image keeps it mapped. Const and
// without locks, so any number of threads and processes share one image. The process that wrote the
// image had parsed hostile feeds: every offset and index is checked, at load or where it is used.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intel/domain_name.h"
#include "intel/image_format.h"
#include "intel/indicator_key.h"

namespace outguard::intel {

enum class IndicatorId : std::uint32_t {};

class IntelImage {
public:
  /// Refuses (InvalidInput, with the reason) what is not an undamaged image of this version.
  [[nodiscard]] static Result<IntelImage> open(std::span<const std::uint8_t> bytes);

  // Each match_ calls `yield(IndicatorId)` once for every indicator that fits, the most specific
  // first. Sources that list the same indicator are one match; sources() names them.

  /// The address itself, then every listed network around it.
  template <class Yield> void match_address(const IpAddress &address, Yield &&yield) const;
  template <class Yield> void match_endpoint(const Endpoint &endpoint, Yield &&yield) const;
  /// Any case, with or without trailing dot, odd bytes escaped. The name itself, then parents
  /// listed with subdomains.
  template <class Yield> void match_domain(std::string_view name, Yield &&yield) const;
  /// As observed; the exact canonical URL, then the same listed without scheme.
  template <class Yield> void match_url(std::string_view url, Yield &&yield) const;

  /// The indicator's own part of a hit; the caller fills in what was observed. nullopt: no such id,
  /// or the image is damaged there.
  [[nodiscard]] std::optional<IndicatorHit> hit(IndicatorId id) const;
  /// Every source that lists this indicator ("file:line"), from the one that hit() names on.
  [[nodiscard]] std::vector<GuestText> sources(IndicatorId id) const;

  [[nodiscard]] std::uint64_t indicator_count() const { return header_.indicators; }
  [[nodiscard]] std::uint64_t image_bytes() const { return header_.image_bytes; }
  /// Tells one image from another, in logs.
  [[nodiscard]] std::uint64_t build_id() const { return header_.checksum; }

private:
  enum class Fit : std::uint8_t { Itself, Parent };

  IntelImage(std::span<const std::uint8_t> bytes, const ImageHeader &header);

  template <class T> [[nodiscard]] std::optional<T> element(Section section, std::uint64_t i) const;
  [[nodiscard]] std::string_view arena_text(std::uint32_t offset, std::uint32_t length) const;
  [[nodiscard]] bool may_hold(std::uint64_t hash) const {
    FilterWord word = 0;
    const auto at = filter_word(hash, header_.filter.count);
    std::memcpy(&word, bytes_.data() + header_.filter.offset + at * sizeof word, sizeof word);
    const auto bits = filter_bits(hash);
    return (word & bits) == bits;
  }
  [[nodiscard]] std::optional<IndicatorId> find_unfiltered(std::uint64_t hash, IndicatorType type,
                                                           std::uint8_t prefix,
                                                           std::string_view key, Fit fit) const;
  [[nodiscard]] std::optional<IndicatorId> find(std::uint64_t hash, IndicatorType type,
                                                std::uint8_t prefix, std::string_view key,
                                                Fit fit = Fit::Itself) const {
    return may_hold(hash) ? find_unfiltered(hash, type, prefix, key, fit) : std::nullopt;
  }
  /// For addresses, endpoints and URLs.
  [[nodiscard]] std::optional<IndicatorId> find(IndicatorType type, std::uint8_t prefix,
                                                std::string_view key) const {
    return find(hash_.of(type, prefix, key), type, prefix, key);
  }
  [[nodiscard]] bool has_prefix(IpFamily family, unsigned length) const {
    const auto word =
        family == IpFamily::V4 ? header_.prefixes_v4 : header_.prefixes_v6[length / 64];
    return (word >> (length % 64) & 1) != 0;
  }
  /// Canonical forms of an observed URL, exact first; empty when it is none.
  [[nodiscard]] static std::vector<std::string> url_forms(std::string_view url);

  std::span<const std::uint8_t> bytes_;
  ImageHeader header_; ///< the checked copy
  KeyHash hash_;
};

template <class Yield> void IntelImage::match_address(const IpAddress &given, Yield &&yield) const {
  const auto address = given.unmapped();
  if (const auto id = find(IndicatorType::Address, 0, octet_view(address))) {
    yield(*id);
  }
  PrefixCutter cutter(address);
  for (unsigned prefix = most_prefix(address.family); prefix-- > 0;) {
    if (!has_prefix(address.family, prefix)) {
      continue;
    }
    const auto length = static_cast<std::uint8_t>(prefix);
    if (const auto id = find(IndicatorType::Network, length, cutter.cut(length))) {
      yield(*id);
    }
  }
}

template <class Yield>
void IntelImage::match_endpoint(const Endpoint &endpoint, Yield &&yield) const {
  const auto key = IndicatorKey::endpoint({endpoint.address.unmapped(), endpoint.port});
  if (const auto id = find(IndicatorType::Endpoint, 0, key.bytes)) {
    yield(*id);
  }
}

template <class Yield> void IntelImage::match_domain(std::string_view given, Yield &&yield) const {
  if (given.ends_with('.')) {
    given.remove_suffix(1);
  }
  const auto skipped = behind_escapes(given);
  given = given.substr(std::min(skipped, given.size()));
  if (given.empty() || given.size() > kMaxNameBytes) {
    return;
  }
  std::array<char, kMaxNameBytes> lower;
  std::transform(given.begin(), given.end(), lower.begin(), ascii_lower);
  const std::string_view name(lower.data(), given.size());

  // Hashes grow from the right; the longest suffix is the most specific, so hits are kept and told
  // backwards. A suffix that the filter passes is rare.
  std::array<IndicatorId, kMaxNameBytes + 1> hits; // a name of dots alone has that many suffixes
  std::size_t hit_count = 0;
  auto state = hash_.start(IndicatorType::Domain, 0);
  for (std::size_t end = name.size();;) {
    const auto start = KeyHash::label_before(name, end);
    state = hash_.add(state, name.substr(start, end - start));
    const auto fit = start + skipped == 0 ? Fit::Itself : Fit::Parent;
    if (const auto id = find(state, IndicatorType::Domain, 0, name.substr(start), fit)) {
      hits[hit_count++] = *id;
    }
    if (start == 0) {
      break;
    }
    end = start - 1;
  }
  while (hit_count > 0) {
    yield(hits[--hit_count]);
  }
}

template <class Yield> void IntelImage::match_url(std::string_view url, Yield &&yield) const {
  for (const auto &form : url_forms(url)) {
    if (const auto id = find(IndicatorType::Url, 0, form)) {
      yield(*id);
    }
  }
}

} // namespace outguard::intel
