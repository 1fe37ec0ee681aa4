#include "sensor/opening_notes.h"

namespace outguard::sensor {

void OpeningNotes::keep(const Opening &opening, Kept kept) {
  kept_.insert_or_assign(opening, kept);
  in_order_.emplace_back(opening, kept.note);
}

std::optional<OpeningNotes::Kept> OpeningNotes::take(const Opening &opening) {
  const auto found = kept_.find(opening);
  if (found == kept_.end()) {
    return std::nullopt;
  }
  const Kept kept = found->second;
  kept_.erase(found);
  return kept;
}

std::optional<OpeningNotes::Kept> OpeningNotes::take_surplus(MonotonicTime now) {
  while (!in_order_.empty()) {
    const auto &[opening, note] = in_order_.front();
    const auto found = kept_.find(opening);
    const bool taken = found == kept_.end() || found->second.note != note;
    if (!taken && in_order_.size() <= kMost && now - found->second.since <= kMostAge) {
      return std::nullopt;
    }
    in_order_.pop_front();
    if (!taken) {
      const Kept surplus = found->second;
      kept_.erase(found);
      return surplus;
    }
  }
  return std::nullopt;
}

} // namespace outguard::sensor
