#pragma once
// The intelligence in force: an image, and a delta of single adds and removes since it was
// compiled. What the delta says of a key, added or removed, stands in place of what the base says.
// Immutable: a change makes another set and swaps the pointer, so readers take no lock.

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "intel/intel_image.h"

namespace outguard::intel {

class IntelSet {
public:
  using Image = std::shared_ptr<const IntelImage>;

  /// `delta` may be null. Its time counts on from the base: a new base needs a new one or none.
  explicit IntelSet(Image base, Image delta = nullptr)
      : base_(std::move(base)), delta_(std::move(delta)) {}

  [[nodiscard]] const Image &base() const { return base_; }

  /// May some indicator be of this type?
  [[nodiscard]] bool lists(IndicatorType type) const {
    return base_->lists(type) || (delta_ != nullptr && delta_->lists(type));
  }

  // As those of IntelImage; the base's matches before the delta's. Ids are good in this set only.

  /// Of the base only: a delta is small enough to be near.
  void prefetch_address(const IpAddress &address) const { base_->prefetch_address(address); }
  template <class Yield>
  void match_address(const IpAddress &address, Seconds now, Yield &&yield) const {
    look(yield, [&](const auto &image, auto &&tell) { image.match_address(address, now, tell); });
  }
  template <class Yield>
  void match_endpoint(const Endpoint &endpoint, Seconds now, Yield &&yield) const {
    look(yield, [&](const auto &image, auto &&tell) { image.match_endpoint(endpoint, now, tell); });
  }
  template <class Yield>
  void match_domain(std::string_view name, Seconds now, Yield &&yield) const {
    look(yield, [&](const auto &image, auto &&tell) { image.match_domain(name, now, tell); });
  }
  template <class Yield> void match_url(std::string_view url, Seconds now, Yield &&yield) const {
    look(yield, [&](const auto &image, auto &&tell) { image.match_url(url, now, tell); });
  }
  template <class Yield>
  void match_fingerprint(IndicatorType type, std::string_view text, Seconds now,
                         Yield &&yield) const {
    look(yield,
         [&](const auto &image, auto &&tell) { image.match_fingerprint(type, text, now, tell); });
  }
  template <class Yield>
  void match_value(std::string_view value, Seconds now, Yield &&yield) const {
    look(yield, [&](const auto &image, auto &&tell) { image.match_value(value, now, tell); });
  }

  /// Asked after a match only. Entries of the base stay until it is compiled anew.
  [[nodiscard]] std::optional<AllowEntry> allowed_by(const IpAddress &address, Seconds now) const;
  [[nodiscard]] std::optional<AllowEntry> allowed_by(std::string_view name, Seconds now) const;
  [[nodiscard]] std::optional<AllowEntry> allowed_by_value(std::string_view value,
                                                           Seconds now) const;

  [[nodiscard]] std::optional<IndicatorHit> hit(IndicatorId id) const;
  [[nodiscard]] std::vector<GuestText> sources(IndicatorId id) const;
  /// What is in force, counted: the base without what the delta overrides, and the delta.
  [[nodiscard]] IntelStats stats(Seconds now) const;
  /// Which indicators mean the value and whether they match now; who keeps them from it.
  [[nodiscard]] ValueExplained explain(std::string_view value, Seconds now) const;

private:
  static constexpr std::uint32_t kInDelta = 1U << 31; ///< in an id; kMaxRecords is far below

  struct Place {
    const IntelImage *image = nullptr; ///< null: no such image
    IndicatorId id{};
  };
  [[nodiscard]] Place place(IndicatorId id) const;
  [[nodiscard]] bool is_overridden(IndicatorId id) const;

  template <class Yield, class Look> void look(Yield &&yield, Look &&look_up) const {
    if (delta_ == nullptr) {
      look_up(*base_, yield);
      return;
    }
    look_up(*base_, [&](IndicatorId id) {
      if (!is_overridden(id)) {
        yield(id);
      }
    });
    look_up(*delta_,
            [&](IndicatorId id) { yield(IndicatorId{static_cast<std::uint32_t>(id) | kInDelta}); });
  }

  Image base_, delta_;
};

} // namespace outguard::intel
