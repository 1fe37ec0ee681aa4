// The parts that guests' processes play. Each role is a process of its own, started by the agent as
// /usr/bin/NAME (or wherever asked), and runs until it is killed or its lifetime is over.
#pragma once

#include <string>
#include <vector>

namespace lab {

using Arguments = std::vector<std::string>;

struct Role {
  const char *name;
  const char
      *usage; // its arguments; [x] may be left out; DEST is ADDRESS:PORT, INTERVAL is seconds
  int (*play)(const Arguments &arguments);
};

// Every role of every file, in the order of lab/README.md.
const std::vector<Role> &all_roles();

const Role *find_role(const std::string &name);

// One list a source file; `all_roles` joins them.
std::vector<Role> tcp_roles();
std::vector<Role> datagram_roles();
std::vector<Role> application_roles();
std::vector<Role> sharing_roles();
std::vector<Role> holding_roles();
std::vector<Role> family_roles();
std::vector<Role> disguise_roles();
std::vector<Role> namespace_roles();
std::vector<Role> state_roles();
std::vector<Role> load_roles();
std::vector<Role> planting_roles();
std::vector<Role> identity_roles();
std::vector<Role> program_roles();
std::vector<Role> storm_roles();
std::vector<Role> payload_roles();
std::vector<Role> waiting_roles();

} // namespace lab
