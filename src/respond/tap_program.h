#pragma once
// The eBPF filter at one tap: loads it, attaches it both ways and keeps it pinned in the kernel, so
// that it outlives this process. What an earlier process pinned is taken over: its maps are kept,
// its program is replaced without a gap. Never mounts a bpffs: one that a service mounts for itself
// would end with it, and the enforcement too. One thread at a time.

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "respond/bpf/tap_maps.h"
#include "respond/kernel_map.h"
#include "respond/pinned_program.h"

namespace outguard::respond {

inline constexpr const char *kBpfFilesystem = "/sys/fs/bpf";

enum class TapHook {
  Newest,  ///< TCX (Linux 6.6) before every other program; Classic where there is none
  Classic, ///< the first filter of a clsact qdisc
};

class TapProgram {
public:
  struct Maps {
    KernelMap<std::uint32_t, tap::TapSettings> settings;
    KernelMap<tap::TapFlow, std::uint64_t> flows;
    KernelMap<tap::TapNetwork, tap::TapRemote> remotes;
    KernelMap<tap::TapPort, tap::TapPortUntil> ports;
    KernelMap<tap::TapNetwork, std::uint32_t> allowed;
    Fd drops; ///< one value a CPU
  };

  /// Unsupported: no bpffs at `bpffs`, or a kernel that refuses. NotFound: no such tap.
  [[nodiscard]] static Result<TapProgram> attach(const Fd &netns, const std::string &tap,
                                                 TapHook hook = TapHook::Newest,
                                                 const std::string &bpffs = kBpfFilesystem);

  /// What is at work at this tap already; nullopt: nothing. Changes nothing.
  [[nodiscard]] static Result<std::optional<TapProgram>>
  find(const Fd &netns, const std::string &tap, const std::string &bpffs = kBpfFilesystem);
  /// Whether this kernel takes the program and `bpffs` can keep it: the hook that attach() would
  /// use. Attaches nothing; a tap of its own kind may still refuse.
  [[nodiscard]] static Result<TapHook> probe(const std::string &bpffs = kBpfFilesystem);

  /// Forgets what is pinned of taps that are gone: of any whose link says so, and of those of
  /// `netns` by their number. Fine where there is no bpffs.
  static void remove_dead(const Fd &netns, const std::string &bpffs = kBpfFilesystem);

  [[nodiscard]] const Maps &maps() const { return maps_; }
  /// False once the tap is gone (made again, it is another) or somebody took us off it.
  [[nodiscard]] Result<bool> is_attached() const;
  /// Else classic: the clsact qdisc stays behind when all is removed, since others may use it.
  [[nodiscard]] bool is_tcx() const { return static_cast<bool>(links_[0]); }
  /// The programs, from and to the guest (for measuring).
  [[nodiscard]] const std::array<Fd, 2> &programs() const { return programs_; }

  /// Takes off the tap what builds of another layout left there.
  void remove_other_layouts() const;
  /// Takes everything off the tap. Nothing of this object may be used then.
  [[nodiscard]] Result<void> remove();

private:
  TapProgram() = default;
  /// Of this tap; nothing is loaded or found yet.
  [[nodiscard]] static Result<TapProgram> at(const Fd &netns, const std::string &tap,
                                             const std::string &bpffs);
  /// With maps of the folder `pins`; empty: kept nowhere.
  [[nodiscard]] Result<void> load(const std::string &pins);
  void take_maps(const std::function<Fd(const char *name)> &map);
  [[nodiscard]] Result<void> attach_way(std::size_t way, TapHook hook);
  [[nodiscard]] Result<bool> has_classic() const;
  [[nodiscard]] Result<bool> holds_tap() const; ///< what is pinned is at work

  Fd netns_;
  int device_ = 0;
  std::string all_, pins_; ///< folders: of every tap, of this one
  std::string prefix_;     ///< of the names of this tap's folders
  Maps maps_;
  std::array<Fd, 2> programs_;
  std::array<Fd, 2> links_; ///< TCX only
};

} // namespace outguard::respond
