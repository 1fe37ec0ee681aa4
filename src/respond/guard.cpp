#include "respond/guard.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace outguard::respond {

namespace {

/// TASK_COMM_LEN less the NUL: a longer name stands cut in comm.
constexpr std::size_t kCommLength = 15;

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

/// `name`: of its file, or its own where that counts.
bool is_called(const ProcessSeen &process, std::string_view name) {
  const std::string_view exe = process.exe ? process.exe->raw() : std::string_view();
  const bool comm_counts = exe.empty() || in_system_folder(exe);
  return file_name(exe) == name ||
         (comm_counts && process.comm.raw() == name.substr(0, kCommLength));
}

bool overlap(const IpNetwork &one, const IpNetwork &other) {
  return one.contains(other.address) || other.contains(one.address);
}

tl::unexpected<Error> is_protected(const std::string &what, const Protection &entry) {
  return fail(ErrorCode::Refused, what + " is protected: " + what_of(entry) + " (" + entry.id +
                                      " by " + entry.actor + ": " + entry.why + ")");
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
  for (const auto &name : policy_.protected_names) {
    if (is_called(process, name)) {
      return refuse("its name is protected: " + name);
    }
  }
  for (const auto &entry : added()) {
    const bool is_path = entry.process.starts_with('/');
    if (is_path ? exe == entry.process
                : !entry.process.empty() && is_called(process, entry.process)) {
      return is_protected("it", entry);
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
  for (const auto &entry : added()) {
    if (entry.remote && overlap(*entry.remote, {remote.address.unmapped(), remote.prefix_length})) {
      return is_protected(remote.to_string(), entry);
    }
  }
  return {};
}

Result<void> check_match(const MatchSeen &match) {
  const Attribution &attribution = match.attribution;
  if (attribution.status != AttributionStatus::Exact) {
    return fail(ErrorCode::Refused, std::string("the process is not certain: attribution is ") +
                                        to_string(attribution.status));
  }
  if (attribution.ambiguous) {
    return fail(ErrorCode::Refused, "the process is not certain: several network namespaces of the "
                                    "guest have this very flow");
  }
  // A policy names the process and the direction itself.
  if (match.basis != MatchBasis::Policy && match.flow.initiator == FlowDirection::ToGuest) {
    return fail(ErrorCode::Refused, "the remote end began this flow: the process only answered");
  }
  return {};
}

} // namespace outguard::respond
