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

/// The indicator's part of a match; nullopt: the image is damaged there.
[[nodiscard]] std::optional<MatchSeen> listed_match(const intel::IntelSet &intel,
                                                    intel::IndicatorId id);

} // namespace outguard::sensor
