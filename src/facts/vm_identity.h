#pragma once
// Which VM a fact is about. The UUID is the key: names change, and two tenants may share addresses.

#include <string>

#include "facts/guest_text.h"

namespace outguard {

struct VmIdentity {
  std::string uuid;
  GuestText name;         ///< tenants choose it on some platforms
  std::string hypervisor; ///< "qemu"
  GuestText kernel;       ///< guest's kernel release; empty while unknown

  auto operator<=>(const VmIdentity &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.uuid, self.name, self.hypervisor, self.kernel);
  }
};

} // namespace outguard
