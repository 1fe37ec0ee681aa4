#pragma once
// The client's side of FTP's control connection (RFC 959): names of the files that are moved. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

enum class FtpSession : std::uint8_t { NotSeen, Seen };

/// `bytes` start at a command. Commands that other protocols have too (USER, LIST, ...) are
/// NotMine.
[[nodiscard]] Look look_at_ftp(FtpSession session, std::span<const std::uint8_t> bytes,
                               std::string &scratch, ObservableSink &sink);

} // namespace outguard::guest
