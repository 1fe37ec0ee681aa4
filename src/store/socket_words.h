#pragma once
// The words for what a socket's numbers mean; a number without a word is shown as it is. Pure
// functions, any thread.

#include <string>

#include "facts/socket_seen.h"

namespace outguard::store {

[[nodiscard]] std::string family_name(std::uint16_t family); ///< AF_ number: "unix"
[[nodiscard]] std::string type_name(std::uint16_t type);     ///< SOCK_ number: "stream"
/// netlink: "route"; packet: the EtherType as "0x0003"; MPTCP: "mptcp"; "-" where it says nothing.
[[nodiscard]] std::string protocol_of(const OtherSocketSeen &socket);

} // namespace outguard::store
