#pragma once
// The client's side of SMTP and LMTP (RFC 5321, 2033, 3030): by which name it greets, the domains
// of senders and recipients. The mails themselves are passed over. Pure: state is the caller's.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

/// Where in a mail's text the bytes stand: it ends with a line of one dot.
enum class MailText : std::uint8_t {
  None,      ///< not in one: commands
  First,     ///< DATA was said; if the server refuses, commands go on
  LineStart, ///< the rest: what came of the line at hand
  Dot,
  DotReturn,
  InLine,
};

enum class SmtpSession : std::uint8_t { NotSeen, Seen };

/// `bytes` start at a command, or within a mail as `text` says. Commands that have no meaning of
/// their own (NOOP, AUTH, ...) are NotMine.
[[nodiscard]] Look look_at_smtp(MailText &text, SmtpSession session,
                                std::span<const std::uint8_t> bytes, std::string &scratch,
                                ObservableSink &sink);

} // namespace outguard::guest
