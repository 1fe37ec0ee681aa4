#pragma once
// The JSON contract of the product, one object a line, no line end. Pure functions, any thread.
//
// Text of guest or network: valid UTF-8 is the same text in JSON, with everything but ASCII written
// as \uXXXX, so that a raw line is safe on a terminal. Text that is not valid UTF-8 becomes
// GuestText::printable(): each invalid byte, and each backslash, as the four characters \xNN.
// Unknown is null.

#include <span>
#include <string>

#include "facts/finding.h"
#include "facts/process_seen.h"
#include "facts/response.h"
#include "facts/socket_seen.h"

namespace outguard::store {

/// An EVE line with event_type "alert": Suricata's members, then vm, process, attribution,
/// response. Source and destination follow the flow's initiator. `alert.action` is "blocked" only
/// when a response says that it took effect.
[[nodiscard]] std::string eve_alert(const Finding &finding,
                                    std::span<const ResponseDone> responses);

/// A row of `outguard ps -o json`; `vm` as the target was named or discovered.
[[nodiscard]] std::string process_json(const GuestText &vm, const ProcessSeen &process);

/// A row of `outguard sockets -o json`.
[[nodiscard]] std::string socket_json(const GuestText &vm, const SocketSeen &socket);

/// A row of `outguard sockets --all -o json` that is no IP socket; has "local", not "local_ip".
[[nodiscard]] std::string other_socket_json(const GuestText &vm, const OtherSocketSeen &socket);

/// The answer of `outguard who -o json`: status, age, and every process that holds the socket.
[[nodiscard]] std::string attribution_json(const GuestText &vm, const Attribution &attribution);

/// Something was stopped and the stop was read back: the flow blocked, or the process killed.
[[nodiscard]] bool took_effect(std::span<const ResponseDone> responses);

} // namespace outguard::store
