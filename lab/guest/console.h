// The agent: one request a line from the host, one framed reply each. See lab/README.md.
#pragma once

#include <string>

namespace lab {

// Serves the terminal `device` for as long as the guest runs.
//
//   request   "ID COMMAND WORD WORD...\n", words percent-encoded
//   reply     "=ID STATUS LENGTH\n" and LENGTH bytes
int serve_console(const std::string &device);

} // namespace lab
