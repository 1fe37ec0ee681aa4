#pragma once
// An eBPF object whose maps are kept in a folder of a bpffs, and its programs at the hooks of
// devices: by TCX links, pinned there too, or by classic filters. Plain functions around libbpf;
// any thread, one at a time a folder.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

struct bpf_object;

namespace outguard::respond {

enum class TapWay : std::uint8_t { Ingress, Egress };

/// Unsupported: no bpffs there.
[[nodiscard]] Result<void> check_bpffs(const std::string &path);
[[nodiscard]] std::vector<std::string> names_in_folder(const std::string &folder);
[[nodiscard]] Result<void> make_pin_folder(const std::string &path);
void remove_pin_folder(const std::string &folder);

class PinnedObject {
public:
  /// Takes over the maps that are in `folder`, and keeps there what it makes; empty: keeps none.
  /// Unsupported: the kernel refuses, and says why.
  [[nodiscard]] static Result<PinnedObject> load(std::span<const unsigned char> object,
                                                 const std::string &folder);
  [[nodiscard]] Result<Fd> map(const char *name) const;
  [[nodiscard]] Result<Fd> program(const char *name) const;

private:
  struct Close {
    void operator()(bpf_object *object) const;
  };
  std::unique_ptr<bpf_object, Close> object_;
};

/// Where a program is to be; the calling thread is in the device's namespace.
struct ProgramHook {
  int device = 0;
  TapWay way = TapWay::Ingress;
  std::uint32_t handle = 0; ///< of the classic filter of priority 1
};
/// Before all others, pinned at `pin`; replaces in one step what is pinned there of this device.
/// NotFound: this kernel has no TCX (Linux 6.6).
[[nodiscard]] Result<Fd> attach_tcx(const Fd &program, const ProgramHook &hook,
                                    const std::string &pin);
/// Of this kernel; attaches nothing.
[[nodiscard]] bool has_tcx(const Fd &program);
/// Of the device a pinned link is at; 0: gone, or no link. What the kernel cannot tell, for want of
/// memory or descriptors, is an error and never "gone": rules would be thrown away for it.
[[nodiscard]] Result<int> device_of_link(const Fd &link);
/// Empty: none is pinned there.
[[nodiscard]] Result<Fd> open_link(const std::string &pin);
/// Both in one.
[[nodiscard]] Result<int> device_of_pin(const std::string &pin);
/// A clsact qdisc is made where there is none.
[[nodiscard]] Result<void> attach_classic(const Fd &program, const ProgramHook &hook);
[[nodiscard]] Result<bool> is_attached_classic(const ProgramHook &hook);
/// Fine if it is not there.
[[nodiscard]] Result<void> detach_classic(const ProgramHook &hook);

} // namespace outguard::respond
