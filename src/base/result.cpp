#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace outguard {

tl::unexpected<Error> fail_errno(const std::string &what) {
  const int number = errno;
  const auto code =
      number == EACCES || number == EPERM ? ErrorCode::Permission : ErrorCode::SystemFailed;
  return fail(code, what + ": " + std::generic_category().message(number));
}

const char *to_string(ErrorCode code) {
  switch (code) {
  case ErrorCode::InvalidInput:
    return "invalid input";
  case ErrorCode::NotFound:
    return "not found";
  case ErrorCode::Unsupported:
    return "unsupported";
  case ErrorCode::Permission:
    return "permission denied";
  case ErrorCode::Unreachable:
    return "unreachable";
  case ErrorCode::Timeout:
    return "timed out";
  case ErrorCode::LimitReached:
    return "limit reached";
  case ErrorCode::SystemFailed:
    return "system call failed";
  case ErrorCode::Refused:
    return "refused";
  }
  return "unknown";
}

} // namespace outguard
