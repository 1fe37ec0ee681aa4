#pragma once
// MISP attributes -> indicators. Pure but for what it counts. No exceptions.

#include <cstdint>

#include "intel/feeds/intake.h"
#include "intel/feeds/json_feed.h"

namespace outguard::intel {

/// Only what its author meant for detection (`to_ids`) and did not delete.
void take_misp(const MispEvent &event, const MispAttribute &attribute, std::uint32_t number,
               Intake &intake);

} // namespace outguard::intel
