#include "intel/guards/public_suffix.h"

#include <libpsl.h>

#include "intel/guards/suffix_filter.h"

namespace outguard::intel {

bool is_public_suffix(const std::string &name) {
  if (!can_be_public_suffix(name)) {
    return false;
  }
  const auto *list = psl_builtin();
  return list != nullptr && psl_is_public_suffix(list, name.c_str()) != 0;
}

std::optional<std::string> registrable_domain(const std::string &name) {
  const auto *list = psl_builtin();
  const char *found = list == nullptr ? nullptr : psl_registrable_domain(list, name.c_str());
  return found == nullptr ? std::nullopt : std::optional<std::string>(found); // points into `name`
}

} // namespace outguard::intel
