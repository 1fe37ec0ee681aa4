// How the agent starts other processes: roles that stay, and shell commands that it waits for.
#pragma once

#include <string>

#include "roles.h"

namespace lab {

struct Reply {
  int status = 0; // 0 is well; of a shell command its exit code
  std::string text;
};

// Starts a role from `executable` ("-" is /usr/bin/ROLE) and waits until it calls itself ready.
// Answers "pid=N\n" and what the role announced; a role that ends before that is an error.
Reply start_role(const std::string &role, const std::string &executable,
                 const Arguments &arguments);

// The same without waiting: for a role that may be ended before it is ready. Answers "pid=N\n".
Reply spawn_role(const std::string &role, const std::string &executable,
                 const Arguments &arguments);

// Runs `sh -c command`; its output and exit code. Ended after kShellTimeout.
Reply run_shell(const std::string &command);

} // namespace lab
