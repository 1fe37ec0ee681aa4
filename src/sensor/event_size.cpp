#include "sensor/event_size.h"

#include <algorithm>

#include "facts/wire.h"

namespace outguard::sensor {

namespace {

constexpr std::size_t kRoom = kMaxEventBytes / 2;
/// Each takes at most 400 bytes without its texts.
constexpr std::size_t kMostHolders = 64;

bool fits(const Attribution &attribution) {
  WireWriter writer;
  writer(attribution);
  return writer.size() <= kRoom;
}

void leave_out_texts(ProcessSeen &process) {
  process.exe.reset();
  process.exe_deleted.reset();
  process.earlier_exe.reset();
  process.cmdline.reset();
  process.cgroup.reset();
  process.container.reset();
  process.unit.reset();
}

} // namespace

void fit_into_event(Attribution &attribution) {
  if (fits(attribution)) {
    return;
  }
  auto &holders = attribution.processes;
  if (holders.size() > kMostHolders) {
    holders.resize(kMostHolders);
    attribution.ambiguous = true; // ending those that are named would not end the flow
  }
  std::for_each(holders.begin() + (holders.empty() ? 0 : 1), holders.end(), leave_out_texts);
  auto &ancestors = attribution.ancestors;
  attribution.ancestors_cut = attribution.ancestors_cut || ancestors.size() > kMostHolders;
  ancestors.resize(std::min(ancestors.size(), kMostHolders));
  if (!fits(attribution) && !holders.empty()) {
    holders.front().cmdline.reset();
    holders.front().cgroup.reset();
  }
}

} // namespace outguard::sensor
