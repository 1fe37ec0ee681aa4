#include "respond/plan_executor.h"

#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "respond/patch_check.h"

namespace outguard::respond {

namespace {

/// Works on a paused VM.
class Writer {
public:
  Writer(hypervisor::VmControl &control, const WritePlan &plan, MonotonicTime deadline)
      : control_(control), plan_(plan), deadline_(deadline) {}

  PlanOutcome run() {
    for (std::uint32_t i = 0; i < plan_.patches.size(); ++i) {
      const auto holds = expectation_holds(control_, plan_.patches[i]);
      if (!holds) {
        return {PlanStatus::Failed, i, {}, holds.error().message};
      }
      if (!*holds) {
        return {PlanStatus::Mismatch, i, {}, "the guest has moved on"};
      }
    }
    for (std::uint32_t i = 0; i < plan_.patches.size(); ++i) {
      if (auto done = apply(plan_.patches[i]); !done) {
        return {PlanStatus::Failed, i, {}, done.error().message + undo()};
      }
    }
    return {PlanStatus::Applied, 0, {}, {}};
  }

private:
  struct Written {
    const Patch *patch;
    std::uint64_t before;
  };

  Result<void> store(const Patch &patch, std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);
    return control_.write(patch.address, std::span(bytes).first(patch.width));
  }

  /// Two patches may share a word: each starts from what is there now.
  Result<void> apply(const Patch &patch) {
    if (patch.write_mask == 0) {
      return {};
    }
    if (monotonic_now() > deadline_) {
      return fail(ErrorCode::Timeout, "the VM would have stood still too long");
    }
    const auto before = load(control_, patch);
    if (!before) {
      return tl::unexpected(before.error());
    }
    const std::uint64_t wanted = (*before & ~patch.write_mask) | patch.value;
    written_.push_back({&patch, *before}); // before the write: it may fail half-way
    if (auto stored = store(patch, wanted); !stored) {
      return stored;
    }
    const auto after = load(control_, patch);
    if (!after || *after != wanted) {
      return fail(ErrorCode::SystemFailed, "a write was not there when read back");
    }
    return {};
  }

  /// Last write first. Says so if it could not.
  std::string undo() {
    std::string trouble;
    while (!written_.empty()) {
      const Written last = written_.back();
      written_.pop_back();
      if (auto stored = store(*last.patch, last.before); !stored) {
        trouble = "; and what was written could not be taken back";
      }
    }
    return trouble;
  }

  hypervisor::VmControl &control_;
  const WritePlan &plan_;
  MonotonicTime deadline_;
  std::vector<Written> written_;
};

} // namespace

Result<void> validate_plan(const WritePlan &plan) {
  if (plan.patches.empty() || plan.patches.size() > kMaxPatches) {
    return fail(ErrorCode::InvalidInput,
                "a plan of " + std::to_string(plan.patches.size()) + " patches");
  }
  bool writes = false;
  for (std::size_t i = 0; i < plan.patches.size(); ++i) {
    if (const char *problem = problem_of(plan.patches[i])) {
      return fail(ErrorCode::InvalidInput, "patch " + std::to_string(i) + " " + problem);
    }
    writes = writes || plan.patches[i].write_mask != 0;
  }
  return writes ? Result<void>() : fail(ErrorCode::InvalidInput, "a plan that writes nothing");
}

PlanOutcome execute_plan(hypervisor::VmControl &control, const WritePlan &plan,
                         const std::function<void()> &on_pausing) {
  if (auto valid = validate_plan(plan); !valid) {
    return {PlanStatus::Refused, 0, {}, valid.error().message};
  }
  auto paused = hypervisor::PausedVm::pause(control, on_pausing);
  if (!paused) {
    const bool refused = paused.error().code == ErrorCode::Refused;
    return {refused ? PlanStatus::Refused : PlanStatus::Failed, 0, {}, paused.error().message};
  }
  PlanOutcome outcome = Writer(control, plan, monotonic_now() + kMostPaused).run();
  const auto took = paused->resume();
  if (took) {
    outcome.paused = *took;
  } else {
    outcome.paused = paused->paused_so_far();
    outcome.reason += (outcome.reason.empty() ? "" : "; ") +
                      ("the VM may be left paused: " + took.error().message);
  }
  return outcome;
}

} // namespace outguard::respond
