#include "roles.h"

namespace lab {

const std::vector<Role> &all_roles() {
  static const std::vector<Role> roles = [] {
    std::vector<Role> joined;
    for (auto list :
         {tcp_roles, datagram_roles, application_roles, sharing_roles, disguise_roles,
          namespace_roles, state_roles, load_roles, identity_roles, program_roles, storm_roles,
          holding_roles, family_roles, planting_roles, payload_roles, waiting_roles}) {
      for (const Role &role : list())
        joined.push_back(role);
    }
    return joined;
  }();
  return roles;
}

const Role *find_role(const std::string &name) {
  for (const Role &role : all_roles()) {
    if (name == role.name)
      return &role;
  }
  return nullptr;
}

} // namespace lab
