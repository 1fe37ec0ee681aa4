#pragma once
// The gates at one VM's taps that hold first packets (respond/hold_gate.h), opened for one sensor
// after the other. What an end by accident leaves is taken over, or removed where it is not wanted.
// One thread; end by remove(), or verdicts stay in force and new flows fail open or closed.

#include <string>
#include <vector>

#include "facts/messages.h"
#include "hypervisor/vm_found.h"
#include "respond/hold_gate.h"

namespace outguard::daemon {

class TapGates {
public:
  /// At every tap, or at none.
  [[nodiscard]] static Result<TapGates> open(const hypervisor::VmFound &vm,
                                             const HoldSettings &settings);
  /// What an earlier supervisor left at its taps.
  static void remove_left(const hypervisor::VmFound &vm);

  /// All of them still hold.
  [[nodiscard]] bool are_attached() const;
  struct ForJudge {
    HoldTaps request;
    std::vector<Fd> descriptors; ///< of each tap, as facts/hold.h has them
  };
  [[nodiscard]] Result<ForJudge> for_judge(HoldRules rules) const;
  /// Of all taps together.
  [[nodiscard]] std::vector<NamedCount> counts() const;
  void remove();

private:
  struct Gate {
    std::string tap;
    respond::HoldGate gate;
  };
  std::vector<Gate> gates_;
  HoldSettings settings_;
};

/// For people: "new flows from the guest are held, and pass while nobody judges (500 ms)".
[[nodiscard]] std::string to_string(const HoldSettings &settings);

} // namespace outguard::daemon
