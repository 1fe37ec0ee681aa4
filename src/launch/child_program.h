#pragma once
// Starts one of our own sandboxed programs, which stands beside the running one, with a control
// socket as descriptor 3, nothing as 0 and 1, and no environment.

#include <string>

#include <sys/types.h>

#include "base/message_socket.h"
#include "base/result.h"

namespace outguard::launch {

struct ChildProgram {
  pid_t pid = -1; ///< to be ended and waited for by whoever started it
  MessageSocket control;
};
[[nodiscard]] Result<ChildProgram> start_child(const char *program, const char *role);

/// How `who` ended, without taking it from a later waitpid.
[[nodiscard]] std::string epitaph(pid_t pid, const std::string &who);

} // namespace outguard::launch
