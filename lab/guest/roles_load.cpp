#include "roles.h"

namespace lab {
std::vector<Role> load_roles() { return {}; }
}
