#pragma once
// An Error as the user meets it: a line on stderr and an exit code of the contract.

#include "base/result.h"
#include "cli/output.h"
#include "facts/messages.h"

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

/// Says on stderr what is missing, so that a partial table is never taken for a whole one.
inline Exit end_with(const Completeness &completeness) {
  if (!completeness.partial) {
    return Exit::Ok;
  }
  complain("partial: " + completeness.reason);
  return Exit::Partial;
}

} // namespace outguard::cli
