#include "intel/guards/indicator_guards.h"

#include "intel/guards/key_network.h"
#include "intel/guards/public_suffix.h"
#include "intel/guards/well_known_addresses.h"

namespace outguard::intel {

namespace {

std::optional<RejectReason> known_well(const IndicatorKey &key) {
  if (key.type == IndicatorType::Domain) {
    return is_public_suffix(key.bytes) ? std::optional(RejectReason::PublicSuffix) : std::nullopt;
  }
  const auto network = network_of(key);
  return network ? well_known_reason(*network) : std::nullopt;
}

} // namespace

GuardVerdict IndicatorGuards::judge(const FeedIndicator &indicator) {
  if (const auto reason = known_well(indicator.key)) {
    GuardVerdict verdict;
    verdict.refusal = reason;
    return verdict;
  }
  return warning_lists_.judge(indicator);
}

} // namespace outguard::intel
