#pragma once
// What both ends of the API do with a Unix socket. Stateless; any thread.

#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::api {

[[nodiscard]] Result<sockaddr_un> address_of(const std::string &path);
/// Who is at the other end, by the kernel's word: who connected, or who listens.
[[nodiscard]] std::optional<ucred> peer_of(const Fd &socket);
/// Root, or the user that this process runs as.
[[nodiscard]] bool is_root_or_us(const ucred &peer);
/// Non-blocking. NotFound: no such socket; Unreachable: nobody listens; Timeout: its queue is full.
[[nodiscard]] Result<Fd> connect_local(const std::string &path);

/// Paths of the sockets in a run folder, sorted; at most 64. Empty also where it cannot be read.
[[nodiscard]] std::vector<std::string> sockets_in(const std::string &folder);

} // namespace outguard::api
