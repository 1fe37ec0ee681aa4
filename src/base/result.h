#pragma once
// The one way a function outside guest/ says that it failed. Under guest/ the error is a small
// value instead (guest/bytes/fault.h), since a hostile guest can cause millions of them.

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace outguard {

/// A closed list: callers branch on the code, people read the message.
enum class ErrorCode {
  InvalidInput, ///< bytes from a file, the user or a peer do not make sense
  NotFound,     ///< what was asked for does not exist
  Unsupported,  ///< this host, kernel or QEMU cannot do it
  Permission,   ///< the operating system refused
  Unreachable,  ///< the peer (QEMU, sensor) does not answer or is gone
  Timeout,      ///< the time limit of the call was reached
  LimitReached, ///< one of our own caps
  SystemFailed, ///< a system call failed; `message` holds errno's text
  Refused,      ///< a guard said no
};

struct Error {
  ErrorCode code = ErrorCode::SystemFailed;
  std::string message; ///< says what was attempted, on what, and why it failed
};

template <class T> using Result = tl::expected<T, Error>;

/// Usage: `return fail(ErrorCode::NotFound, "no such VM: web1");`
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

/// Builds a SystemFailed (or Permission for EACCES/EPERM) error from errno at the time of the call:
/// "<what>: <strerror>".
[[nodiscard]] tl::unexpected<Error> fail_errno(const std::string &what);

[[nodiscard]] const char *to_string(ErrorCode code);

} // namespace outguard
