// What the guest says about itself, read from its own /proc and nothing else: what a view from
// outside is compared with. JSON lines; the fields are described in lab/README.md.
#pragma once

#include <string>
#include <vector>

namespace lab {

// One process (thread group) as the sockets' half needs it.
struct ProcessIdentity {
  long pid = 0;
  std::string comm; // as /proc/PID/comm says, without the newline
};

// Appends the line about the machine.
void append_system(std::string &output);

// Appends a line a process; returns who they are.
std::vector<ProcessIdentity> append_processes(std::string &output);

// Appends a line a socket, over all network namespaces that a thread of `processes` lives in.
void append_sockets(const std::vector<ProcessIdentity> &processes, std::string &output);

// The number in "net:[4026531840]" or "socket:[123]"; 0 when it is neither.
unsigned long long inode_of_link(const std::string &target, const char *kind);

} // namespace lab
