#include "guest/bytes/fault.h"

namespace outguard::guest {

const char *to_string(FaultCode code) {
  switch (code) {
  case FaultCode::Unmapped:
    return "memory not mapped";
  case FaultCode::OutOfRange:
    return "out of range";
  case FaultCode::Malformed:
    return "malformed";
  case FaultCode::LimitReached:
    return "limit reached";
  case FaultCode::SourceGone:
    return "source gone";
  case FaultCode::NotFound:
    return "not found";
  }
  return "unknown";
}

} // namespace outguard::guest
