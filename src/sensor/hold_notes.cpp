#include "sensor/hold_notes.h"

#include <functional>

namespace outguard::sensor {

std::size_t HoldNotes::digest(std::string_view observed) {
  return std::hash<std::string_view>{}(observed) | 1U;
}

void HoldNotes::add(Key key) {
  if (!refused_.insert(key).second) {
    return;
  }
  in_order_.push_back(key);
  if (in_order_.size() > kMost) {
    refused_.erase(in_order_.front());
    in_order_.pop_front();
  }
}

void HoldNotes::allow_flow(const FlowTuple &flow) {
  if (!refused_.empty()) {
    refused_.erase({flow, kWholeFlow});
  }
}

} // namespace outguard::sensor
