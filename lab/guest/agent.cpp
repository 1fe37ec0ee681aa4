// The guest program's entrance: as /usr/bin/agent it answers the host, under a role's name it plays
// it.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <libgen.h>
#include <unistd.h>

#include "console.h"
#include "report.h"
#include "roles.h"

namespace {

constexpr unsigned kRoleLifetime = 6 * 3600; // seconds; a forgotten role ends by itself

int play(const std::string &name, const lab::Arguments &arguments) {
  const lab::Role *role = lab::find_role(name);
  if (role == nullptr) {
    std::fprintf(stderr, "no role %s\n", name.c_str());
    return 2;
  }
  alarm(kRoleLifetime);
  try {
    return role->play(arguments);
  } catch (const std::out_of_range &) {
    std::fprintf(stderr, "usage: %s %s\n", role->name, role->usage);
    return 2;
  }
}

} // namespace

int main(int count, char **words) {
  const char *role = std::getenv(lab::kRoleVariable);
  const std::string name = role != nullptr ? role : basename(words[0]);
  if (name == "agent")
    return lab::serve_console(count > 1 ? words[1] : "/dev/ttyS1");
  return play(name,
              lab::Arguments(words + std::min(count, 1), words + count)); // maybe not even a name
}
