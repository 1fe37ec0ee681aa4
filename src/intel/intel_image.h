#pragma once
// Look-ups in an index image. Holds a view: whoever mapped the image keeps it mapped. Const and
// without locks, so any number of threads and processes share one image. The process that wrote the
// image had parsed hostile feeds: open() checks the header and where sections lie, every offset and
// index in them is checked where it is used.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "facts/indicator_explained.h"
#include "facts/intel_stats.h"
#include "intel/domain_name.h"
#include "intel/image_format.h"
#include "intel/indicator_key.h"
#include "intel/lower_copy.h"
#include "intel/observed_url.h"
#include "intel/url.h"

namespace outguard::intel {

enum class IndicatorId : std::uint32_t {};

/// Seconds since the epoch, or kAnyTime: what has expired and what is not valid yet match too.
using Seconds = std::int64_t;
inline constexpr Seconds kAnyTime = std::numeric_limits<Seconds>::min();

class IntelImage {
public:
  /// Refuses (InvalidInput, with the reason) what is not an image of this version, or has a damaged
  /// header. Reads the header only, so that opening costs the same for any size.
  [[nodiscard]] static Result<IntelImage> open(std::span<const std::uint8_t> bytes);
  /// Reads all of the image: is it what was written? For whoever takes one from a disk. Parts that
  /// are read are handed to `done`, which may let go of their memory (all but the last).
  using PartRead = std::function<void(std::span<const std::uint8_t>)>;
  [[nodiscard]] Result<void> verify(const PartRead &done = {}) const;

  // Each match_ calls `yield(IndicatorId)` once for every indicator that fits and is valid at
  // `now`, the most specific first. Sources that list the same indicator are one match; sources()
  // names them.

  /// match_address() comes soon: asks for the memory that it begins with.
  void prefetch_address(const IpAddress &address) const {
    const auto own = address.unmapped();
    prefetch(hash_.of(kind_of(Role::Indicator, IndicatorType::Address), 0, octet_view(own)));
  }
  /// The address itself, then every listed network around it.
  template <class Yield>
  void match_address(const IpAddress &address, Seconds now, Yield &&yield) const {
    walk_address(Role::Indicator, address, now, yield);
  }
  template <class Yield>
  void match_endpoint(const Endpoint &endpoint, Seconds now, Yield &&yield) const {
    if (lists(IndicatorType::Endpoint)) {
      walk_endpoint(Role::Indicator, endpoint, now, yield);
    }
  }
  /// Any case, with or without trailing dot, odd bytes escaped. The name itself, then parents
  /// listed with subdomains.
  template <class Yield>
  void match_domain(std::string_view name, Seconds now, Yield &&yield) const {
    walk_domain(Role::Indicator, name, now, yield);
  }
  /// As observed; the canonical URL, with scheme and without: itself, then listed prefixes from the
  /// longest, then its path on any host.
  template <class Yield> void match_url(std::string_view url, Seconds now, Yield &&yield) const {
    walk_url(Role::Indicator, url, now, yield);
  }
  /// JA3, JA4, HASSH, hashes of certificates and files, as hexadecimal text of any case.
  template <class Yield>
  void match_fingerprint(IndicatorType type, std::string_view text, Seconds now,
                         Yield &&yield) const {
    walk_fingerprint(Role::Indicator, type, text, now, yield);
  }
  /// Any value that a person may ask for: what it can be is found by its form.
  void match_value(std::string_view value, Seconds now,
                   const std::function<void(IndicatorId)> &yield) const;

  /// The entry that covers the address, or the name or one of its parents, if any does.
  [[nodiscard]] std::optional<AllowEntry> allowed_by(const IpAddress &address, Seconds now) const;
  [[nodiscard]] std::optional<AllowEntry> allowed_by(std::string_view name, Seconds now) const;
  /// The value itself, or the address or name that it is of: an endpoint's, a URL's.
  [[nodiscard]] std::optional<AllowEntry> allowed_by_value(std::string_view value,
                                                           Seconds now) const;

  /// The indicator's own part of a hit; the caller fills in what was observed. nullopt: no such id,
  /// or the image is damaged there.
  [[nodiscard]] std::optional<IndicatorHit> hit(IndicatorId id) const;
  /// Every source that lists this indicator ("file:line"), from the one that hit() names on.
  [[nodiscard]] std::vector<GuestText> sources(IndicatorId id) const;
  /// Whether it may match at `now`, or why not.
  [[nodiscard]] IndicatorState state(IndicatorId id, Seconds now) const;

  struct StoredKey {
    IndicatorType type = IndicatorType::Address;
    std::uint8_t prefix = 0;
    std::string bytes; ///< stored_bytes()

    bool operator==(const StoredKey &) const = default;
  };
  [[nodiscard]] std::optional<StoredKey> key(IndicatorId id) const;
  [[nodiscard]] bool has(Role role, const StoredKey &key) const;

  /// Counts all of it, as it stands at `now`: as long as it takes to read every record. What `skip`
  /// says yes to is not counted.
  [[nodiscard]] IntelStats stats(Seconds now,
                                 const std::function<bool(IndicatorId)> &skip = {}) const;

  [[nodiscard]] bool lists(IndicatorType type) const {
    return (header_.types >> static_cast<unsigned>(type) & 1) != 0;
  }
  [[nodiscard]] std::uint64_t indicator_count() const { return header_.indicators; }
  [[nodiscard]] std::uint64_t removed_count() const { return header_.removed; }
  [[nodiscard]] std::uint64_t allowed_count() const { return header_.allowed; }
  [[nodiscard]] std::uint64_t image_bytes() const { return header_.image_bytes; }
  /// Tells one image from another, in logs.
  [[nodiscard]] std::uint64_t build_id() const { return header_.checksum; }

private:
  enum class Fit : std::uint8_t { Itself, Under };
  struct Wanted {
    Fit fit = Fit::Itself;
    Seconds now = kAnyTime;
  };

  IntelImage(std::span<const std::uint8_t> bytes, const ImageHeader &header);

  template <class T>
  [[nodiscard]] std::optional<T> element(Section section, std::uint64_t i) const {
    return i < section.count ? std::optional(element_unchecked<T>(section, i)) : std::nullopt;
  }
  /// Of an element that is there.
  template <class T> [[nodiscard]] T element_unchecked(Section section, std::uint64_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + section.offset + i * sizeof value, sizeof value);
    return value;
  }
  /// Into the record itself or the arena; empty where the record lies.
  [[nodiscard]] std::string_view key_bytes(const Record &record) const;
  [[nodiscard]] GuestText text(std::uint32_t offset) const;
  [[nodiscard]] std::vector<bool> flagged_abouts() const;
  [[nodiscard]] GuestText source_name(const Record &record) const;
  [[nodiscard]] std::optional<About> about(const Record &record) const;
  [[nodiscard]] std::optional<Record> indicator(IndicatorId id) const;
  [[nodiscard]] IndicatorState state(const Record &record, Seconds now) const;
  [[nodiscard]] bool may_hold(std::uint64_t hash) const {
    const auto at = filter_word(hash, header_.filter.count);
    const auto bits = filter_bits(hash);
    return (element_unchecked<FilterWord>(header_.filter, at) & bits) == bits;
  }
  /// may_hold() will be asked soon.
  void prefetch(std::uint64_t hash) const {
    const auto at = filter_word(hash, header_.filter.count);
    __builtin_prefetch(bytes_.data() + header_.filter.offset + at * sizeof(FilterWord));
  }
  [[nodiscard]] std::optional<IndicatorId> find_unfiltered(std::uint64_t hash, std::uint8_t kind,
                                                           std::uint8_t prefix,
                                                           std::string_view key,
                                                           Wanted wanted) const;
  [[nodiscard]] std::optional<IndicatorId> find(std::uint64_t hash, std::uint8_t kind,
                                                std::uint8_t prefix, std::string_view key,
                                                Wanted wanted) const {
    return may_hold(hash) ? find_unfiltered(hash, kind, prefix, key, wanted) : std::nullopt;
  }
  /// For all but domains.
  [[nodiscard]] std::optional<IndicatorId> find(std::uint8_t kind, std::uint8_t prefix,
                                                std::string_view key, Wanted wanted) const {
    return find(hash_.of(kind, prefix, key), kind, prefix, key, wanted);
  }
  /// Prefix lengths that networks around the address may have: two words, bit n of them.
  [[nodiscard]] std::array<std::uint64_t, 2> lengths_around(Role role,
                                                            const IpAddress &address) const;

  template <class Yield>
  void walk_address(Role role, const IpAddress &address, Seconds now, Yield &&yield) const;
  template <std::size_t kOctets, class Yield>
  void walk_networks(Role role, const IpAddress &address, Seconds now, Yield &&yield) const;
  template <class Yield>
  void walk_endpoint(Role role, const Endpoint &endpoint, Seconds now, Yield &&yield) const;
  template <class Yield>
  void walk_url(Role role, std::string_view url, Seconds now, Yield &&yield) const;
  template <class Yield>
  void walk_fingerprint(Role role, IndicatorType type, std::string_view text, Seconds now,
                        Yield &&yield) const;
  template <class Yield>
  void walk_domain(Role role, std::string_view name, Seconds now, Yield &&yield) const;
  /// Listed prefixes of `text`, from the longest. `head`: what none of them is shorter than.
  template <class Yield>
  void walk_prefixes(Role role, IndicatorType type, std::string_view text, std::string_view head,
                     Seconds now, Yield &&yield) const;
  [[nodiscard]] bool has_url_length(std::size_t length) const {
    const auto word = element_unchecked<std::uint64_t>(header_.url_lengths, length / 64);
    return (word >> (length % 64) & 1) != 0;
  }
  [[nodiscard]] std::optional<IndicatorId> allowed_itself(std::string_view value,
                                                          Seconds now) const;
  [[nodiscard]] AllowEntry allow_entry(IndicatorId id) const;

  std::span<const std::uint8_t> bytes_;
  ImageHeader header_; ///< the checked copy
  KeyHash hash_;
};

template <class Yield>
void IntelImage::walk_address(Role role, const IpAddress &given, Seconds now, Yield &&yield) const {
  const auto address = given.unmapped();
  if (address.family == IpFamily::V4) {
    walk_networks<4>(role, address, now, yield);
  } else {
    walk_networks<16>(role, address, now, yield);
  }
}

/// The size of keys is known where this is compiled, so that hashing one is a few instructions.
template <std::size_t kOctets, class Yield>
void IntelImage::walk_networks(Role role, const IpAddress &address, Seconds now,
                               Yield &&yield) const {
  const std::string_view whole(reinterpret_cast<const char *>(address.bytes.data()), kOctets);
  const Wanted wanted{Fit::Itself, now};
  if (const auto id = find(kind_of(role, IndicatorType::Address), 0, whole, wanted)) {
    yield(*id);
  }
  const auto kind = kind_of(role, IndicatorType::Network);
  const auto lengths = lengths_around(role, address);
  PrefixCutter cutter(address);
  for (std::size_t word = kOctets == 4 ? 1 : 2; word-- > 0;) {
    for (auto left = lengths[word]; left != 0;) {
      const auto bit = 63 - static_cast<unsigned>(std::countl_zero(left));
      left ^= std::uint64_t{1} << bit;
      const auto length = static_cast<std::uint8_t>(word * 64 + bit);
      const std::string_view key(cutter.cut(length).data(), kOctets);
      if (const auto id = find(kind, length, key, wanted)) {
        yield(*id);
      }
    }
  }
}

template <class Yield>
void IntelImage::walk_endpoint(Role role, const Endpoint &endpoint, Seconds now,
                               Yield &&yield) const {
  const auto address = endpoint.address.unmapped();
  const auto octets = octet_view(address);
  std::array<char, 18> key;
  std::copy(octets.begin(), octets.end(), key.begin());
  key[octets.size()] = static_cast<char>(endpoint.port >> 8);
  key[octets.size() + 1] = static_cast<char>(endpoint.port & 0xff);
  const std::string_view bytes(key.data(), octets.size() + 2);
  if (const auto id = find(kind_of(role, IndicatorType::Endpoint), 0, bytes, {Fit::Itself, now})) {
    yield(*id);
  }
}

template <class Yield>
void IntelImage::walk_domain(Role role, std::string_view given, Seconds now, Yield &&yield) const {
  if (given.ends_with('.')) {
    given.remove_suffix(1);
  }
  std::size_t skipped = given.find('\\') == given.npos ? 0 : behind_escapes(given);
  if (skipped < given.size() && given.size() - skipped > kMaxNameBytes) {
    // Nobody resolves such a name, but who asks for it in a request is served all the same.
    const auto dot = given.find('.', given.size() - kMaxNameBytes - 1);
    skipped = dot == given.npos ? given.size() : dot + 1;
  }
  given = given.substr(std::min(skipped, given.size()));
  if (given.empty()) {
    return;
  }
  std::array<char, kMaxNameBytes> lower;
  lower_copy(given, lower.data());
  const std::string_view name(lower.data(), given.size());

  // Hashes grow from the right; the longest suffix is the most specific, so it is looked up first.
  // By then the words of the filter are on their way: each would be waited for by itself.
  struct Suffix {
    std::uint64_t hash;
    std::size_t start;
  };
  std::array<Suffix, kMaxNameBytes + 1> suffixes; // a name of dots alone has that many
  std::size_t count = 0, labels = 0;
  const auto kind = kind_of(role, IndicatorType::Domain);
  auto state = hash_.start(kind, 0);
  for (std::size_t end = name.size();;) {
    const auto start = KeyHash::label_before(name, end);
    state = hash_.add(state, name.substr(start, end - start));
    if ((header_.domain_labels & label_bit(++labels)) != 0) {
      prefetch(state);
      suffixes[count++] = {state, start};
    }
    if (start == 0) {
      break;
    }
    end = start - 1;
  }
  while (count > 0) {
    const auto [hash, start] = suffixes[--count];
    const Wanted wanted{start + skipped == 0 ? Fit::Itself : Fit::Under, now};
    if (const auto id = find(hash, kind, 0, name.substr(start), wanted)) {
      yield(*id);
    }
  }
}

template <class Yield>
void IntelImage::walk_prefixes(Role role, IndicatorType type, std::string_view text,
                               std::string_view head, Seconds now, Yield &&yield) const {
  if (header_.url_lengths.count == 0 ||
      !may_hold(hash_.of(kPrefixGate, static_cast<std::uint8_t>(type), head))) {
    return;
  }
  const auto shortest =
      static_cast<std::size_t>(head.data() - text.data()) + std::max<std::size_t>(head.size(), 1);
  const auto kind = kind_of(role, type);
  // `text` as a whole was looked up before.
  for (auto length = std::min(text.size(), kUrlLengthWords * 64); length-- > shortest;) {
    if (!has_url_length(length)) {
      continue;
    }
    if (const auto id = find(kind, 0, text.substr(0, length), {Fit::Under, now})) {
      yield(*id);
    }
  }
}

template <class Yield>
void IntelImage::walk_url(Role role, std::string_view url, Seconds now, Yield &&yield) const {
  const ObservedUrl forms(url);
  for (const std::string_view form : forms.whole()) {
    if (form.empty()) {
      continue;
    }
    if (const auto id = find(kind_of(role, IndicatorType::Url), 0, form, {Fit::Itself, now})) {
      yield(*id);
    }
    walk_prefixes(role, IndicatorType::Url, form, url_authority(form), now, yield);
  }
  const std::string_view target = forms.target();
  if (target.empty()) {
    return;
  }
  if (const auto id = find(kind_of(role, IndicatorType::UrlPath), 0, target, {Fit::Itself, now})) {
    yield(*id);
  }
  walk_prefixes(role, IndicatorType::UrlPath, target, target.substr(0, 0), now, yield);
}

template <class Yield>
void IntelImage::walk_fingerprint(Role role, IndicatorType type, std::string_view text, Seconds now,
                                  Yield &&yield) const {
  DigestBytes scratch;
  const auto key = stored_bytes(type, text, scratch);
  if (!key) {
    return;
  }
  if (const auto id = find(kind_of(role, type), 0, *key, {Fit::Itself, now})) {
    yield(*id);
  }
}

} // namespace outguard::intel
