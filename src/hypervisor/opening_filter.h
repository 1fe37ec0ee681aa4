#pragma once
// The kernel-side filter of a packet socket that passes only what opens a connection from the
// guest: TCP with SYN and without ACK, in IPv4 (also with options, not behind a fragment) or IPv6
// (right behind its header), under at most one VLAN tag beside the one that the kernel takes out.

#include "base/fd.h"
#include "base/result.h"

namespace outguard::hypervisor {

/// Attaches and locks it: whoever holds the socket later can neither change nor remove it.
[[nodiscard]] Result<void> pass_openings_only(const Fd &packet_socket);
/// The same, of a filter that passes all but packets from the guest that were held at the tap and
/// let out: they passed once before (facts/hold.h).
[[nodiscard]] Result<void> pass_each_once(const Fd &packet_socket);

} // namespace outguard::hypervisor
