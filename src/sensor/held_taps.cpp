#include "sensor/held_taps.h"

#include <algorithm>

#include "base/clock.h"

namespace outguard::sensor {

bool HeldTaps::open(const HoldSlots &slots, const PolicyJudge &policy, FlowOwners &owners,
                    HoldNotes &notes) {
  for (std::size_t tap = 0; tap < slots.taps(); ++tap) {
    auto judge = std::make_unique<HoldJudge>(policy, owners, notes);
    judge->use(slots.request().rules, slots.request().taps[tap].settings.fail_open);
    auto held = HeldTap::open(slots, tap, std::move(judge));
    if (held == nullptr) {
      return false;
    }
    taps_.push_back(std::move(held));
  }
  return true;
}

void HeldTaps::use(const std::shared_ptr<const intel::IntelSet> &intel) {
  for (const auto &tap : taps_) {
    tap->judge().use(intel);
  }
}

void HeldTaps::add_to(std::vector<pollfd> &items) const {
  for (const auto &tap : taps_) {
    items.push_back({begun_ ? tap->descriptor() : -1, POLLIN, 0});
  }
}

void HeldTaps::work(const Refused &refused) {
  if (!begun_) {
    return;
  }
  constexpr int kTurns = 16; ///< some milliseconds of a flood; then the others have theirs
  for (const auto &tap : taps_) {
    const auto tell = [&](const auto &packet) { refused(tap->interface(), packet); };
    for (int turn = 0; turn < kTurns && tap->work(tell); ++turn) {
    }
  }
  if (const auto now = monotonic_now(); now >= next_expiry_) {
    next_expiry_ = now + std::chrono::seconds(1);
    for (const auto &tap : taps_) {
      tap->judge().expire(wall_now().time_since_epoch().count());
    }
  }
}

std::chrono::milliseconds HeldTaps::patience(std::chrono::milliseconds most) const {
  for (const auto &tap : taps_) {
    most = std::min(most, tap->patience());
  }
  return most;
}

void HeldTaps::count(CountersSeen &counters) const {
  HeldTap::Counts taps;
  HoldJudge::Counts judged;
  for (const auto &tap : taps_) {
    taps += tap->counts();
    judged += tap->judge().counts();
  }
  if (taps_.empty()) {
    return;
  }
  counters.other.insert(counters.other.end(), {{"held", taps.received},
                                               {"held_allowed", judged.allowed},
                                               {"held_refused", judged.refused},
                                               {"held_once", judged.once},
                                               {"held_followed", judged.followed},
                                               {"held_dropped", judged.dropped},
                                               {"held_strange", taps.strange},
                                               {"held_unsent", taps.unsent},
                                               {"held_unreadable", judged.unreadable},
                                               {"held_ownerless", judged.ownerless},
                                               {"held_nameless", judged.nameless},
                                               {"held_names_crowded", judged.names_crowded}});
}

} // namespace outguard::sensor
