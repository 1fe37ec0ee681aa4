#pragma once
// What intelligence is asked, and what it says, in the terms of facts. Pure; any thread.

#include <optional>

#include "facts/messages.h"
#include "guest/protocols/observable.h"
#include "intel/intel_set.h"

namespace outguard::sensor {

/// The type of indicator that an observable which is no host is looked up as, if there is one.
[[nodiscard]] std::optional<IndicatorType> fingerprint_type(ObservableKind kind);

/// What is looked up, and the two names that contacts and resolvers are known by. A digest or URL
/// is made only where one of its type is listed. `intel` may be null.
[[nodiscard]] guest::ObservableKinds kinds_wanted(const intel::IntelSet *intel);

/// Everything that is listed of what was observed. `tell` is called with each indicator.
template <class Tell>
void match_observed(const intel::IntelSet &intel, const guest::Observable &observable,
                    intel::Seconds now, Tell tell) {
  if (observable.kind == ObservableKind::HttpUrl) {
    intel.match_url(observable.text, now, tell);
  } else if (const auto type = fingerprint_type(observable.kind)) {
    intel.match_fingerprint(*type, observable.text, now, tell);
  } else if (observable.address != nullptr) {
    intel.match_address(*observable.address, now, tell);
  } else if (observable.form == guest::HostForm::Address) {
    if (const auto address = IpAddress::parse(observable.text)) {
      intel.match_address(*address, now, tell);
    }
  } else if (observable.form != guest::HostForm::NoHost) {
    intel.match_domain(observable.text, now, tell);
  }
}

/// The indicator's part of a match; nullopt: the image is damaged there.
[[nodiscard]] std::optional<MatchSeen> listed_match(const intel::IntelSet &intel,
                                                    intel::IndicatorId id);

} // namespace outguard::sensor
