#include "daemon/tap_gates.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "hypervisor/network_namespace.h"
#include "respond/pinned_program.h"

namespace outguard::daemon {

Result<TapGates> TapGates::open(const hypervisor::VmFound &vm, const HoldSettings &settings) {
  if (vm.taps.empty() || vm.taps.size() > kMostHeldTaps) {
    return fail(ErrorCode::Unsupported,
                fmt::format("a VM with 1 to {} taps can be held, not with {}", kMostHeldTaps,
                            vm.taps.size()));
  }
  TapGates all;
  all.settings_ = settings;
  for (const auto &tap : vm.taps) {
    auto gate = hypervisor::open_tap_namespace(vm, tap).and_then(
        [&](const Fd &netns) { return respond::HoldGate::open(netns, tap.name, settings); });
    if (!gate) {
      all.remove();
      return fail(gate.error().code, tap.name + ": " + gate.error().message);
    }
    all.gates_.push_back({tap.name, std::move(*gate)});
  }
  return all;
}

void TapGates::remove_left(const hypervisor::VmFound &vm) {
  for (const auto &tap : vm.taps) {
    const auto netns = hypervisor::open_tap_namespace(vm, tap);
    const auto inode = netns ? hypervisor::namespace_inode(*netns)
                             : Result<std::uint64_t>(tl::unexpected(netns.error()));
    if (!inode) {
      continue;
    }
    const auto names = respond::names_in_folder(std::string(respond::kBpfFilesystem) + "/outguard");
    const auto prefix = fmt::format("hold-{}-", *inode);
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string &name) { return name.starts_with(prefix); })) {
      auto gate = respond::HoldGate::open(*netns, tap.name, {});
      const auto removed = gate ? gate->remove() : Result<void>(tl::unexpected(gate.error()));
      if (!removed) {
        log::warning(tap.name +
                     ": what held its packets is not removed: " + removed.error().message);
      }
    }
  }
}

bool TapGates::are_attached() const {
  return std::all_of(gates_.begin(), gates_.end(),
                     [](const Gate &one) { return one.gate.is_attached(); });
}

Result<TapGates::ForJudge> TapGates::for_judge(HoldRules rules) const {
  ForJudge all;
  all.request.rules = std::move(rules);
  for (const Gate &one : gates_) {
    auto descriptors = one.gate.judge_descriptors();
    if (!descriptors) {
      return tl::unexpected(descriptors.error());
    }
    all.request.taps.push_back({one.tap, settings_});
    std::move(descriptors->begin(), descriptors->end(), std::back_inserter(all.descriptors));
  }
  return all;
}

std::vector<NamedCount> TapGates::counts() const {
  HoldCounts sum;
  for (const Gate &one : gates_) {
    if (const auto counts = one.gate.counts()) {
      sum.held += counts->held;
      sum.allowed += counts->allowed;
      sum.refused += counts->refused;
      sum.refused_after += counts->refused_after;
      sum.dead_open += counts->dead_open;
      sum.dead_closed += counts->dead_closed;
      sum.full_open += counts->full_open;
      sum.full_closed += counts->full_closed;
      sum.crowded += counts->crowded;
      sum.unreadable += counts->unreadable;
      sum.astray += counts->astray;
      sum.forged += counts->forged;
    }
  }
  return {{"gate_held", sum.held},           {"gate_allowed", sum.allowed},
          {"gate_refused", sum.refused},     {"gate_refused_after", sum.refused_after},
          {"gate_dead_open", sum.dead_open}, {"gate_dead_closed", sum.dead_closed},
          {"gate_full_open", sum.full_open}, {"gate_full_closed", sum.full_closed},
          {"gate_crowded", sum.crowded},     {"gate_unreadable", sum.unreadable},
          {"gate_astray", sum.astray},       {"gate_forged", sum.forged}};
}

void TapGates::remove() {
  for (Gate &one : gates_) {
    if (const auto removed = one.gate.remove(); !removed) {
      log::warning(one.tap + ": what holds its packets is not removed: " + removed.error().message);
    }
  }
  gates_.clear();
}

std::string to_string(const HoldSettings &settings) {
  const char *whose = settings.from_guest && settings.to_guest ? "new flows both ways"
                      : settings.from_guest                    ? "new flows from the guest"
                                                               : "new flows to the guest";
  return fmt::format(
      "{} are held until they were judged, and {} while nobody judges them for {} ms", whose,
      settings.fail_open ? "pass" : "are dropped", settings.bound_ns / 1'000'000);
}

} // namespace outguard::daemon
