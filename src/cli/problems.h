#pragma once
// An Error as the user meets it: a line on stderr and an exit code of the contract.

#include "base/result.h"
#include "cli/output.h"

namespace outguard::cli {

inline Exit report(const Error &error) {
  complain(error.message);
  switch (error.code) {
  case ErrorCode::NotFound:
    return Exit::NotFound;
  case ErrorCode::Refused:
    return Exit::Refused;
  default:
    return Exit::Failed;
  }
}

} // namespace outguard::cli
