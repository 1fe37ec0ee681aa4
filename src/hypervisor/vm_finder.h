#pragma once
// Finds the VMs of this host. One finder a platform; QEMU processes today, libvirt and Xen are to
// be further ones behind the same interface. Finders keep no state; any thread.

#include <string_view>
#include <vector>

#include "base/result.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

class VmFinder {
public:
  VmFinder() = default;
  VmFinder(const VmFinder &) = delete;
  VmFinder &operator=(const VmFinder &) = delete;
  virtual ~VmFinder() = default;

  /// Lowest pid first.
  [[nodiscard]] virtual Result<std::vector<VmFound>> find() const = 0;
};

/// Every process whose program or argv[0] is a QEMU system emulator.
class QemuProcessFinder : public VmFinder {
public:
  [[nodiscard]] Result<std::vector<VmFound>> find() const override;
};

/// Looks at one process. NotFound: it is no QEMU, or gone. What cannot be read of a QEMU is a gap;
/// any other error: this process may not even see what it is.
[[nodiscard]] Result<VmFound> inspect_qemu(pid_t pid);

/// What all finders of this host find.
[[nodiscard]] Result<std::vector<VmFound>> find_vms();

/// `target` as users write it: a name, a UUID, `qmp:PATH` or `pid:N`. InvalidInput for a name that
/// several VMs have (the message lists them), NotFound when none has it.
[[nodiscard]] Result<VmFound> resolve_target(std::string_view target);
/// The same among `vms`, for names and UUIDs.
[[nodiscard]] Result<VmFound> choose_vm(std::string_view name_or_uuid,
                                        const std::vector<VmFound> &vms);

} // namespace outguard::hypervisor
