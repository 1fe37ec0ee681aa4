#pragma once
// The TapFilter that is an eBPF program at the tap: one map look-up a packet and kind of rule, both
// ways, with the time that each rule ends kept beside it in the kernel. One thread at a time.

#include <memory>
#include <string>
#include <vector>

#include "respond/tap_filter.h"
#include "respond/tap_program.h"

namespace outguard::respond {

class TcFilter : public TapFilter {
public:
  /// Takes over what an earlier run left at this tap. Unsupported: this host has no way.
  [[nodiscard]] static Result<std::unique_ptr<TapFilter>>
  open(const Fd &netns, const std::string &tap, TapHook hook = TapHook::Newest,
       const std::string &bpffs = kBpfFilesystem);

  /// What an earlier run left at this tap, as it is; nullptr if there is nothing.
  [[nodiscard]] static Result<std::unique_ptr<TapFilter>>
  find(const Fd &netns, const std::string &tap, const std::string &bpffs = kBpfFilesystem);

  [[nodiscard]] const char *mechanism() const override { return "tc-bpf"; }
  [[nodiscard]] const char *hook() const override {
    return program_ && program_->is_tcx() ? "tcx" : "clsact";
  }
  [[nodiscard]] std::size_t most_tags() const override { return 2; }
  [[nodiscard]] Result<void> add(const NetworkRule &rule, std::chrono::seconds ttl) override;
  [[nodiscard]] Result<void> remove(const NetworkRule &rule) override;
  [[nodiscard]] Result<std::optional<std::chrono::seconds>>
  remaining(const NetworkRule &rule) const override;
  [[nodiscard]] Result<std::vector<RuleInForce>> list() const override;
  [[nodiscard]] Result<void> sweep() override;
  [[nodiscard]] Result<FilterDrops> drops() const override;
  [[nodiscard]] Result<void> remove_all() override;

  /// Nothing once remove_all() was called.
  [[nodiscard]] const std::optional<TapProgram> &program() const { return program_; }

private:
  TcFilter(Fd netns, std::string tap, TapHook hook, std::string bpffs)
      : netns_(std::move(netns)), tap_(std::move(tap)), hook_(hook), bpffs_(std::move(bpffs)) {}

  [[nodiscard]] Result<void> ensure_attached();
  [[nodiscard]] Result<bool> is_attached() const;
  [[nodiscard]] Result<void> write(const NetworkRule &rule, std::uint64_t until);
  [[nodiscard]] Result<void> write_isolation(const IsolationRule &rule, std::uint64_t until);
  [[nodiscard]] Result<void> announce(std::uint32_t kind, std::uint64_t until);
  [[nodiscard]] Result<tap::TapSettings> settings() const;
  [[nodiscard]] Result<void> erase_expired();
  /// Of the rule as it is in the maps, in force or not; 0: not there, or not looked for.
  [[nodiscard]] Result<std::uint64_t> until_of(const NetworkRule &rule) const;
  [[nodiscard]] Result<IsolationRule> isolation(std::uint32_t generation) const;

  Fd netns_;
  std::string tap_;
  TapHook hook_;
  std::string bpffs_;
  std::optional<TapProgram> program_;
};

} // namespace outguard::respond
