#pragma once
// Holds the first packets of a tap's flows until a judge let them go (facts/hold.h): the privileged
// side. Outlives this process: verdicts stay in force, new flows fail open or closed once no judge
// is there. Never reads a packet. One thread at a time.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/hold.h"
#include "respond/hold_program.h"

namespace outguard::respond {

class HoldGate {
public:
  /// Takes over what an earlier process left at the tap, with its verdicts and counts. Unsupported:
  /// this host has no way, and which feature is missing. NotFound: no such tap.
  [[nodiscard]] static Result<HoldGate> open(const Fd &netns, const std::string &tap,
                                             const HoldSettings &settings,
                                             TapHook hook = TapHook::Newest,
                                             const std::string &bpffs = kBpfFilesystem);
  /// Why packets cannot be held on this host; nullopt: they can, if the tap agrees.
  [[nodiscard]] static std::optional<std::string>
  why_not(const std::string &bpffs = kBpfFilesystem);

  /// For a new judge, in the order of HoldDescriptor. An earlier judge's are to be closed first.
  [[nodiscard]] Result<std::array<Fd, kHoldDescriptors>> judge_descriptors() const;
  [[nodiscard]] Result<void> set(const HoldSettings &settings);
  /// Every flow is judged anew at its next packet: policies or intelligence changed.
  [[nodiscard]] Result<void> forget_verdicts();
  [[nodiscard]] Result<HoldCounts> counts() const;
  /// Whether a judge gave a sign of life within the bound.
  [[nodiscard]] Result<bool> has_judge() const;
  /// False once the tap is gone or somebody took us off it: open() again.
  [[nodiscard]] bool is_attached() const { return program_.is_attached(); }
  [[nodiscard]] const HoldProgram &program() const { return program_; }
  /// Leaves nothing of ours. Packets on their way to the judge are lost.
  [[nodiscard]] Result<void> remove() { return program_.remove(); }

private:
  HoldGate(HoldProgram program, std::uint64_t bound_ns)
      : program_(std::move(program)), bound_ns_(bound_ns) {}

  HoldProgram program_;
  std::uint64_t bound_ns_ = 0;
};

[[nodiscard]] Result<void> check_hold_settings(const HoldSettings &settings);

} // namespace outguard::respond
