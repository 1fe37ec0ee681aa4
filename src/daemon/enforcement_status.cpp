#include "daemon/enforcement_status.h"

#include "hypervisor/network_namespace.h"

namespace outguard::daemon {

namespace {

/// A bpffs may be mounted meanwhile; loading a program to see whether it can be is not free.
constexpr std::chrono::seconds kHostKeeps{10};

api::TapStatus look(const hypervisor::VmFound &vm, const hypervisor::TapFound &tap,
                    const Result<respond::TapHook> &host) {
  api::TapStatus status;
  status.tap = tap.name;
  const auto netns = hypervisor::open_tap_namespace(vm, tap);
  const auto seen = netns ? respond::look_at_tap(*netns, tap.name, host)
                          : Result<respond::TapLook>(tl::unexpected(netns.error()));
  if (!seen) {
    status.problem = seen.error().message;
    return status;
  }
  status.mechanism = seen->mechanism;
  status.hook = seen->hook;
  status.at_work = seen->at_work;
  status.why_not_better = seen->why_not_better;
  for (const auto &[rule, left] : seen->rules) {
    if (status.rules.size() == api::TapStatus::kMostRules) {
      status.rules_left_out = seen->rules.size() - status.rules.size();
      break;
    }
    status.rules.push_back({to_string(rule), static_cast<std::uint64_t>(left.count())});
  }
  if (status.at_work) {
    const auto &drops = seen->drops;
    status.dropped = {{"flow", drops.flow},
                      {"remote", drops.remote},
                      {"port", drops.port},
                      {"isolation", drops.isolation},
                      {"unreadable", drops.unreadable}};
  }
  return status;
}

} // namespace

Result<respond::TapHook> EnforcementStatus::host() {
  const std::lock_guard lock(mutex_);
  if (!host_ || monotonic_now() - asked_ > kHostKeeps) {
    host_ = respond::TapProgram::probe();
    asked_ = monotonic_now();
  }
  return *host_;
}

std::vector<api::TapStatus> EnforcementStatus::of(const hypervisor::VmFound &vm) {
  std::vector<api::TapStatus> taps;
  const auto tc = host();
  for (const auto &tap : vm.taps) {
    taps.push_back(look(vm, tap, tc));
  }
  return taps;
}

} // namespace outguard::daemon
