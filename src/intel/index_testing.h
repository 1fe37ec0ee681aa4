#pragma once
// For tests: an index of a few indicators, built and asked in one line.

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "intel/index_builder.h"
#include "intel/intel_image.h"

namespace outguard::intel {

using Added = IndexBuilder::Added;
using Values = std::vector<std::string>;

constexpr Seconds kNow = 1'700'000'000;
constexpr HashSeed kSeed{0x1234567890abcdef, 0xfedcba9876543211};

inline FeedIndicator indicator(IndicatorType type, std::string text,
                               MatchScope scope = MatchScope::Exact) {
  return {{type, 0, std::move(text)}, scope, 0, 0, {}};
}
inline FeedIndicator evil(MatchScope scope = MatchScope::Exact) {
  return indicator(IndicatorType::Domain, "evil.com", scope);
}
inline FeedIndicator network(std::string_view address, std::uint8_t prefix) {
  return {IndicatorKey::network({IpAddress::parse(address).value(), prefix}), {}, 0, 0, {}};
}

/// A builder with one source, and what look-ups in its image give.
class Index {
public:
  Added add(const FeedIndicator &given, Role role = Role::Indicator) {
    return builder_.add(given, source_, ++line_, role);
  }
  const IntelImage &image() {
    bytes_ = builder_.build().value();
    image_ = IntelImage::open(bytes_).value();
    EXPECT_TRUE(image_->verify());
    return *image_;
  }
  Values url(std::string_view text, Seconds now = kNow) {
    Values values;
    image().match_url(text, now, [&](auto id) { values.push_back(value(id)); });
    return values;
  }
  Values address(std::string_view text, Seconds now = kNow) {
    Values values;
    image().match_address(IpAddress::parse(text).value(), now,
                          [&](auto id) { values.push_back(value(id)); });
    return values;
  }
  Values domain(std::string_view text, Seconds now = kNow) {
    Values values;
    image().match_domain(text, now, [&](auto id) { values.push_back(value(id)); });
    return values;
  }
  Values fingerprint(IndicatorType type, std::string_view text) {
    Values values;
    image().match_fingerprint(type, text, kNow, [&](auto id) { values.push_back(value(id)); });
    return values;
  }
  IndicatorHit hit() { return image().hit(IndicatorId{0}).value(); }
  IndexBuilder &builder() { return builder_; }

private:
  [[nodiscard]] std::string value(IndicatorId id) const {
    return std::string(image_->hit(id).value().value.raw());
  }

  IndexBuilder builder_{kSeed};
  SourceId source_ = builder_.add_source("feed").value();
  std::uint32_t line_ = 0;
  std::vector<std::uint8_t> bytes_;
  std::optional<IntelImage> image_;
};

} // namespace outguard::intel
