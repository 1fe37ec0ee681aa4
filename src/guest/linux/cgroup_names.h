#pragma once
// What a cgroup's path says about who started the processes in it. Pure functions of text that the
// guest's administrator chose: a name is a claim, not a proof.

#include <string>
#include <string_view>

namespace outguard::guest {

/// The innermost container's id: 64 hex digits for Docker, containerd, Kubernetes and Podman, the
/// name for LXC; empty: in none. Monitors that stand beside a container (conmon, lxc.monitor) are
/// in none.
[[nodiscard]] std::string container_of_cgroup(std::string_view path);

/// The innermost systemd service or scope, of the system or of a user; empty: in none.
[[nodiscard]] std::string unit_of_cgroup(std::string_view path);

} // namespace outguard::guest
