#include "respond/guard.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace outguard::respond {

namespace {

/// TASK_COMM_LEN less the NUL: a longer name stands cut in comm.
constexpr std::size_t kCommLength = 15;
/// A host with more VMs than this has had VMs that are gone; budgets of a minute are quickly
/// rebuilt.
constexpr std::size_t kMostVms = 4096;

std::string_view file_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);
  return path;
}

/// Where a guest's own packages live. A program elsewhere that calls itself sshd is not sshd.
bool in_system_folder(std::string_view path) {
  constexpr std::array<std::string_view, 6> kFolders{"/usr/", "/bin/", "/sbin/",
                                                     "/lib/", "/opt/", "/nix/"};
  return std::any_of(kFolders.begin(), kFolders.end(),
                     [&](std::string_view folder) { return path.starts_with(folder); });
}

bool prefix_equal(std::span<const std::uint8_t> one, std::span<const std::uint8_t> other,
                  std::size_t bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(whole), other.begin())) {
    return false;
  }
  const auto mask = static_cast<std::uint8_t>(0xff00U >> (bits % 8));
  return bits % 8 == 0 || (one[whole] & mask) == (other[whole] & mask);
}

} // namespace

std::vector<std::string> GuardPolicy::default_protected_names() {
  return {"systemd",          "init",           "systemd-journald",
          "systemd-udevd",    "systemd-logind", "systemd-networkd",
          "systemd-resolved", "nscd",           "dnsmasq",
          "unbound",          "named",          "avahi-daemon",
          "dbus-daemon",      "dbus-broker",    "NetworkManager",
          "dhclient",         "sshd",           "sshd-session",
          "sshd-auth",        "qemu-ga",        "cloud-init",
          "waagent",          "vmtoolsd",       "google_guest_agent",
          "amazon-ssm-agent", "xe-daemon"};
}

bool ProtectedNetwork::contains(const IpAddress &other) const {
  const IpAddress plain = other.unmapped();
  return plain.family == address.family && prefix_length <= address.octets().size() * 8 &&
         prefix_equal(plain.octets(), address.octets(), prefix_length);
}

Guard::Budget &Guard::budget_of(const std::string &vm, std::map<std::string, Budget> &budgets) {
  if (budgets.size() >= kMostVms && !budgets.contains(vm)) {
    budgets.erase(budgets.begin());
  }
  return budgets[vm];
}

bool Guard::Budget::take(unsigned most, std::chrono::seconds rest, MonotonicTime now) {
  if (now < open_until) {
    return false;
  }
  while (!uses.empty() && now - uses.front() >= std::chrono::minutes(1)) {
    uses.pop_front();
  }
  if (uses.size() >= most) {
    open_until = now + rest;
    return false;
  }
  uses.push_back(now);
  return true;
}

Result<void> Guard::check_process(const ProcessSeen &process) const {
  const auto refuse = [](const std::string &why) { return fail(ErrorCode::Refused, why); };
  if (process.identity.pid <= 1) {
    return refuse("pid 1 is never ended");
  }
  if (process.kernel_thread) {
    return refuse("a kernel thread is never ended");
  }
  const std::string_view exe = process.exe ? process.exe->raw() : std::string_view();
  for (const auto &path : policy_.protected_paths) {
    if (exe == path) {
      return refuse("its file is protected: " + path);
    }
  }
  const bool comm_counts = exe.empty() || in_system_folder(exe);
  for (const auto &name : policy_.protected_names) {
    if (file_name(exe) == name ||
        (comm_counts && process.comm.raw() == name.substr(0, kCommLength))) {
      return refuse("its name is protected: " + name);
    }
  }
  return {};
}

Result<void> Guard::check_remote(const IpAddress &remote) const {
  for (const auto &network : policy_.protected_networks) {
    if (network.contains(remote)) {
      return fail(ErrorCode::Refused, "the remote end is in a protected network: " + network.name);
    }
  }
  return {};
}

Result<void> Guard::check_remote(const IpNetwork &remote) const {
  for (const auto &network : policy_.protected_networks) {
    if (network.contains(remote.address) || remote.contains(network.address)) {
      return fail(ErrorCode::Refused,
                  remote.to_string() + " has addresses of a protected network: " + network.name);
    }
  }
  return {};
}

Result<void> Guard::allow_network(ResponseAction action, const std::string &vm,
                                  const FlowTuple &flow, MonotonicTime now) {
  if (auto checked = check_remote(flow.remote.address); !checked) {
    return checked;
  }
  if (action != ResponseAction::Reset) {
    return {};
  }
  if (!budget_of(vm, resets_).take(policy_.most_resets_per_minute, policy_.breaker_rest, now)) {
    return fail(ErrorCode::Refused, "breaker open: too many resets for this VM within a minute");
  }
  return {};
}

Result<void> Guard::allow_kill(const std::string &vm, const ProcessSeen &process,
                               const MatchSeen &match, MonotonicTime now) {
  const Attribution &attribution = match.attribution;
  if (attribution.status != AttributionStatus::Exact) {
    return fail(ErrorCode::Refused, std::string("the process is not certain: attribution is ") +
                                        to_string(attribution.status));
  }
  if (attribution.ambiguous) {
    return fail(ErrorCode::Refused, "the process is not certain: several network namespaces of the "
                                    "guest have this very flow");
  }
  if (match.flow.initiator == FlowDirection::ToGuest) {
    return fail(ErrorCode::Refused, "the remote end began this flow: the process only answered");
  }
  if (auto checked = check_process(process); !checked) {
    return checked;
  }
  if (!budget_of(vm, kills_).take(policy_.most_kills_per_minute, policy_.breaker_rest, now)) {
    return fail(ErrorCode::Refused, "breaker open: too many kills in this VM within a minute");
  }
  return {};
}

} // namespace outguard::respond
