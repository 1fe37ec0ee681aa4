#pragma once
// How far a walk got. What was found is kept either way; a partial answer says why it is partial,
// so that an empty list is never the answer to "could not read that".

#include <cstdint>

#include "guest/bytes/fault.h"

namespace outguard::guest {

/// Ordered by how much may be missing.
enum class PartialReason : std::uint8_t {
  None,            ///< complete
  RepeatsLeftOut,  ///< one socket has more descriptors, or in one process, than are listed
  KeptChanging,    ///< an element changed while it was read, also after retries, and was left out
  HoldersUnknown,  ///< this kernel keeps what an io_uring or a message holds in a form not known
  TableUnknown,    ///< this kernel's table for a protocol was not found
  ListBroken,      ///< a list contradicts itself (cycle, wild link), also after retries
  Unreadable,      ///< memory of an element, list or table was not there
  BudgetExhausted, ///< our own cap ended the walk
};
[[nodiscard]] const char *to_string(PartialReason reason);

struct Completeness {
  PartialReason reason = PartialReason::None; ///< the gravest one met
  Fault fault;                                ///< where it was met first, when not None
  std::uint32_t left_out =
      0; ///< how often something was left out, counted; its size may be unknown

  [[nodiscard]] bool complete() const { return reason == PartialReason::None; }
  void lost(PartialReason why, Fault where) {
    if (why > reason) {
      reason = why;
      fault = where;
    }
    ++left_out;
  }
  /// By a read that failed.
  void lost(Fault where) {
    lost(where.code == FaultCode::LimitReached ? PartialReason::BudgetExhausted
                                               : PartialReason::Unreadable,
         where);
  }
};

} // namespace outguard::guest
