#pragma once
// The program that holds first packets at one tap, the pair of devices that they go through to the
// judge, and their maps: made, kept pinned beyond this process, taken over, removed. One thread at
// a time.

#include <array>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "respond/bpf/hold_maps.h"
#include "respond/kernel_map.h"
#include "respond/pinned_program.h"
#include "respond/tap_program.h"

namespace outguard::respond {

class HoldProgram {
public:
  struct Maps {
    KernelMap<std::uint32_t, tap::HoldKernelSettings> settings;
    Fd pulse;             ///< to be mapped
    Fd counts;            ///< one value a CPU
    Fd verdicts, waiting; ///< LRU
  };

  /// Unsupported: no bpffs, or a kernel that lacks what it takes. NotFound: no such tap.
  [[nodiscard]] static Result<HoldProgram> attach(const Fd &netns, const std::string &tap,
                                                  TapHook hook, const std::string &bpffs);
  /// Loads the programs, attaches nothing.
  [[nodiscard]] static Result<void> probe(const std::string &bpffs);

  [[nodiscard]] const Maps &maps() const { return maps_; }
  /// At both hooks of the tap, and the pair is there.
  [[nodiscard]] bool is_attached() const;
  [[nodiscard]] bool is_tcx() const { return static_cast<bool>(links_[0]); }
  [[nodiscard]] const Fd &netns() const { return netns_; }
  [[nodiscard]] std::string judge_device() const;
  /// From and to the guest (for measuring).
  [[nodiscard]] const std::array<Fd, 2> &programs() const { return programs_; }
  [[nodiscard]] Result<void> remove();

private:
  HoldProgram() = default;
  [[nodiscard]] Result<void> load(const std::string &folder);
  [[nodiscard]] Result<void> attach_here(TapHook hook);
  [[nodiscard]] Result<void> make_pair();
  [[nodiscard]] Result<void> remove_here();
  [[nodiscard]] bool is_attached_here() const;
  void remove_dead() const;

  Fd netns_;
  int device_ = 0;
  std::string all_, pins_; ///< folders: of every tap, of this one
  std::string prefix_;     ///< of the folders of this namespace's taps
  Maps maps_;
  std::array<Fd, 2> programs_, links_; ///< links: TCX only
  Fd answered_, after_judge_;
};

} // namespace outguard::respond
