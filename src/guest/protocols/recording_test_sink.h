#pragma once
// Tests and fuzzers: keeps every observable as "kind form text".

#include <string>
#include <vector>

#include "guest/protocols/observable.h"

namespace outguard::guest {

[[nodiscard]] inline std::string described(const Observable &observable) {
  constexpr const char *kForms[] = {"name", "address", "odd", "plain"};
  return std::string(outguard::to_string(observable.kind)) + ' ' +
         kForms[static_cast<std::size_t>(observable.form)] + ' ' + observable.shown();
}

/// Methods and versions come with nearly every message: tests ask for them by name.
[[nodiscard]] constexpr ObservableKinds usually_recorded() {
  auto kinds = ObservableKinds::all();
  kinds.remove(ObservableKind::HttpMethod);
  kinds.remove(ObservableKind::TlsVersion);
  return kinds;
}

class RecordingSink final : public ObservableSink {
public:
  explicit RecordingSink(ObservableKinds wanted = usually_recorded()) : ObservableSink(wanted) {}
  void observe(const Observable &observable) override {
    seen.push_back(described(observable));
    spend(observable.text.size() + kObservableCost);
  }
  void note_blindness(Blindness why) override { blind |= static_cast<std::uint8_t>(why); }
  std::vector<std::string> seen;
  std::uint8_t blind = 0;
};

} // namespace outguard::guest
