#include "sensor/flow_notes.h"

namespace outguard::sensor {

std::uint64_t FlowNotes::open() {
  if (!free_.empty()) {
    const auto number = free_.back();
    free_.pop_back();
    return number;
  }
  if (notes_.size() >= kMostNotes) {
    return 0;
  }
  notes_.emplace_back();
  return notes_.size();
}

FlowNote *FlowNotes::find(std::uint64_t number) {
  return number == 0 || number > notes_.size() ? nullptr : &notes_[number - 1];
}

void FlowNotes::close(std::uint64_t number) {
  if (FlowNote *note = find(number)) {
    *note = {};
    free_.push_back(number);
  }
}

} // namespace outguard::sensor
