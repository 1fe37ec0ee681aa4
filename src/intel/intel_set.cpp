#include "intel/intel_set.h"

#include "intel/idna.h"

namespace outguard::intel {

IntelSet::Place IntelSet::place(IndicatorId id) const {
  const auto number = static_cast<std::uint32_t>(id);
  if ((number & kInDelta) == 0) {
    return {base_.get(), id};
  }
  return {delta_.get(), IndicatorId{number & ~kInDelta}};
}

bool IntelSet::is_overridden(IndicatorId id) const {
  const auto key = delta_ == nullptr ? std::nullopt : base_->key(id);
  return key && (delta_->has(Role::Removed, *key) || delta_->has(Role::Indicator, *key));
}

std::optional<AllowEntry> IntelSet::allowed_by(const IpAddress &address, Seconds now) const {
  auto entry = base_->allowed_by(address, now);
  return entry || delta_ == nullptr ? entry : delta_->allowed_by(address, now);
}

std::optional<AllowEntry> IntelSet::allowed_by(std::string_view name, Seconds now) const {
  auto entry = base_->allowed_by(name, now);
  return entry || delta_ == nullptr ? entry : delta_->allowed_by(name, now);
}

std::optional<AllowEntry> IntelSet::allowed_by_value(std::string_view value, Seconds now) const {
  auto entry = base_->allowed_by_value(value, now);
  return entry || delta_ == nullptr ? entry : delta_->allowed_by_value(value, now);
}

std::optional<IndicatorHit> IntelSet::hit(IndicatorId id) const {
  const auto at = place(id);
  return at.image == nullptr ? std::nullopt : at.image->hit(at.id);
}

std::vector<GuestText> IntelSet::sources(IndicatorId id) const {
  const auto at = place(id);
  return at.image == nullptr ? std::vector<GuestText>() : at.image->sources(at.id);
}

namespace {

/// A name or URL as it is on the wire; other values as they stand.
std::string observed_form(std::string_view value) {
  if (is_international(value)) {
    if (value.find('/') != value.npos) {
      if (const auto url = Url::parse(value)) {
        return url->to_string();
      }
    } else if (auto name = normalise_domain(value)) {
      return std::move(*name);
    }
  }
  return std::string(value);
}

std::string_view host_of(std::string_view value) {
  const auto authority = url_authority(value);
  if (authority.empty()) {
    return value;
  }
  return authority.substr(0, authority.find_first_of(":/"));
}

} // namespace

ValueExplained IntelSet::explain(std::string_view given, Seconds now) const {
  ValueExplained explained;
  const auto value = observed_form(given);
  if (value != given) {
    explained.a_labels = GuestText(value);
  }
  explained.u_labels = GuestText(to_u_labels(host_of(value)).value_or(""));
  explained.allowed_by = allowed_by_value(value, now);
  // An endpoint that is allowed leaves its address listed as it was.
  const auto endpoint = Endpoint::parse(value);
  const auto address_allowed_by =
      endpoint ? allowed_by(endpoint->address, now) : explained.allowed_by;
  const auto tell = [&](const IntelImage &image, IndicatorId id, bool overridden) {
    auto hit = image.hit(id);
    if (!hit) {
      return;
    }
    hit->observed_value = GuestText(std::string(value));
    auto state = image.state(id, now);
    if (overridden) {
      state = IndicatorState::Removed;
    } else if (state == IndicatorState::Matches &&
               (hit->type == IndicatorType::Endpoint ? explained.allowed_by : address_allowed_by)) {
      state = IndicatorState::Allowed;
    }
    explained.indicators.push_back({std::move(*hit), state, image.sources(id)});
  };
  // The ids for now name the mention that is in force; at any time, the surest one.
  const auto explain_in = [&](const IntelImage &image, bool is_base) {
    std::vector<IndicatorId> valid;
    image.match_value(value, now, [&](IndicatorId id) { valid.push_back(id); });
    image.match_value(value, kAnyTime, [&](IndicatorId id) {
      const auto key = image.key(id);
      const auto in_force = std::find_if(
          valid.begin(), valid.end(), [&](IndicatorId other) { return image.key(other) == key; });
      tell(image, in_force == valid.end() ? id : *in_force, is_base && is_overridden(id));
    });
  };
  explain_in(*base_, true);
  if (delta_ != nullptr) {
    explain_in(*delta_, false);
  }
  return explained;
}

} // namespace outguard::intel
