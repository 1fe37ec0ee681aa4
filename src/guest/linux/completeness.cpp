#include "guest/linux/completeness.h"

namespace outguard::guest {

const char *to_string(PartialReason reason) {
  switch (reason) {
  case PartialReason::None:
    return "complete";
  case PartialReason::BudgetExhausted:
    return "budget exhausted";
  case PartialReason::Unreadable:
    return "memory unreadable";
  case PartialReason::ListBroken:
    return "kernel list contradicts itself";
  case PartialReason::KeptChanging:
    return "kept changing while read";
  case PartialReason::RepeatsLeftOut:
    return "further descriptors of a listed socket left out";
  case PartialReason::HoldersUnknown:
    return "what an io_uring or a unix socket's messages hold could not be told";
  case PartialReason::TableUnknown:
    return "socket table not found";
  }
  return "unknown";
}

} // namespace outguard::guest
