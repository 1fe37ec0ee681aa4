#include "detect/severity.h"

#include <algorithm>

namespace outguard::detect {

namespace {

/// How much an indicator of a type says of the one program that matched it.
enum class Weight : std::uint8_t {
  Exact,  ///< that very thing, hardly anybody else's
  Place,  ///< an address: others may live there, or will
  Shared, ///< many innocent ones look alike
};

Weight weight_of(IndicatorType type) {
  switch (type) {
  case IndicatorType::Endpoint:
  case IndicatorType::Domain:
  case IndicatorType::Url:
  case IndicatorType::CertificateSha1:
  case IndicatorType::CertificateSha256:
  case IndicatorType::FileMd5:
  case IndicatorType::FileSha1:
  case IndicatorType::FileSha256:
    return Weight::Exact;
  case IndicatorType::Address:
    return Weight::Place;
  case IndicatorType::Network:
  case IndicatorType::UrlPath:
  case IndicatorType::Ja3:
  case IndicatorType::Ja4:
  case IndicatorType::Hassh:
    break;
  }
  return Weight::Shared;
}

constexpr std::uint8_t kSure = 70; ///< of 100; plain lists count as 75
constexpr std::uint8_t kFair = 40;

/// Suricata's numbers, 1 the worst, for a flow that the guest began.
constexpr int kTable[3][3] = {
    // sure, fair, unsure
    {1, 1, 2}, // Exact
    {1, 2, 3}, // Place
    {2, 3, 3}, // Shared
};

int by_table(const IndicatorHit &hit) {
  const std::size_t column = hit.confidence >= kSure ? 0 : hit.confidence >= kFair ? 1 : 2;
  return kTable[static_cast<std::size_t>(weight_of(hit.type))][column];
}

/// RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291.
bool is_inside(const IpAddress &given) {
  const auto address = given.unmapped();
  const auto first = address.bytes[0], second = address.bytes[1];
  if (address.family == IpFamily::V6) {
    return (first & 0xfe) == 0xfc || (first == 0xfe && (second & 0xc0) == 0x80);
  }
  return first == 10 || (first == 172 && (second & 0xf0) == 16) ||
         (first == 192 && second == 168) || (first == 100 && (second & 0xc0) == 64) ||
         (first == 169 && second == 254);
}

/// What many innocent ones have in common says nothing of a talk that stays inside. A network was
/// listed on purpose: no feed's private one is taken unasked.
bool is_noise_inside(const MatchSeen &match) {
  const auto type = match.indicator.type;
  return weight_of(type) == Weight::Shared && type != IndicatorType::Network &&
         is_inside(match.flow.tuple.local.address) && is_inside(match.flow.tuple.remote.address);
}

/// The source knows its indicator; it moves the table's word by a step and does not replace it.
int step_of_source(std::uint8_t severity) {
  return severity == 1 ? -1 : severity == 3 ? 1 : 0;
}

Severity by_policy(const PolicyMatch &match) {
  if (match.actions.has(PolicyAction::Kill) || match.actions.has(PolicyAction::Isolate)) {
    return Severity::High;
  }
  const bool acts =
      match.actions.has(PolicyAction::Block) || match.actions.has(PolicyAction::Suspend);
  return acts && match.by != PolicyBy::Unknown ? Severity::Medium : Severity::Low;
}

} // namespace

Reach reach_of(const MatchSeen &match) {
  if (match.knocks || (match.policy && !match.policy->answered)) {
    return Reach::Unanswered;
  }
  return match.flow.initiator == FlowDirection::ToRemote ? Reach::GuestBegan : Reach::GuestAnswered;
}

Severity severity_of(const MatchSeen &match) {
  const Reach reach = reach_of(match);
  if (match.basis == MatchBasis::Beacon || reach == Reach::Unanswered || is_noise_inside(match)) {
    return Severity::Low;
  }
  if (match.policy) {
    return by_policy(*match.policy);
  }
  const int level = by_table(match.indicator) + step_of_source(match.indicator.severity) +
                    (reach == Reach::GuestAnswered ? 1 : 0);
  return static_cast<Severity>(
      std::clamp(level, static_cast<int>(Severity::High), static_cast<int>(Severity::Low)));
}

} // namespace outguard::detect
