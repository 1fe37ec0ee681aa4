#include "respond/protections.h"

#include <algorithm>

namespace outguard::respond {

void Protections::add(const Protection &entry) {
  Held held{entry, {}};
  if (entry.expires_ns != 0) {
    const auto left = std::min(entry.expires_ns - wall_now().time_since_epoch().count(),
                               entry.expires_ns - entry.added_ns);
    held.until = monotonic_now() + std::chrono::nanoseconds(left);
  }
  const std::lock_guard lock(mutex_);
  held_[entry.id] = std::move(held);
  forget_ended();
}

void Protections::remove(const std::string &id) {
  const std::lock_guard lock(mutex_);
  held_.erase(id);
}

void Protections::forget_ended() const {
  const auto now = monotonic_now();
  std::erase_if(held_,
                [&](const auto &one) { return one.second.until && *one.second.until <= now; });
}

std::vector<Protection> Protections::all() const {
  const std::lock_guard lock(mutex_);
  forget_ended();
  std::vector<Protection> entries;
  for (const auto &[id, held] : held_) {
    entries.push_back(held.entry);
  }
  return entries;
}

std::vector<Protection> Protections::of(const std::string &vm) const {
  auto entries = all();
  std::erase_if(entries,
                [&](const Protection &entry) { return !entry.vm.empty() && entry.vm != vm; });
  return entries;
}

} // namespace outguard::respond
