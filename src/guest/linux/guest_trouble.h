#pragma once
// Why a guest with a found kernel could not be attached to, or fails its self-check.

#include <string>

#include "facts/kernel_seen.h"
#include "guest/bytes/fault.h"

namespace outguard::guest {

struct GuestTrouble {
  GuestState state = GuestState::Unreadable; ///< Booting: try again soon
  std::string
      what; ///< names the member, symbol or check ("task_struct.signal"); our own words only
  Fault fault;
};

} // namespace outguard::guest
