#pragma once
// What the action desk acts on one VM by: its sensor, QEMU and taps. Owned by the VM's guard, which
// tells it of each sensor, and by the desk while it acts; outlives the guard harmlessly. The desk
// acts on the VM's traffic on one thread and on its memory on another; the rest is for any.

#include <memory>
#include <mutex>
#include <string>

#include "daemon/action_desk.h"
#include "daemon/evidence_action.h"
#include "daemon/tap_hands.h"
#include "facts/memory_layout.h"
#include "facts/signal_plan.h"
#include "hypervisor/vm_control.h"
#include "hypervisor/vm_found.h"
#include "launch/sensor_process.h"
#include "respond/guard.h"

namespace outguard::daemon {

class VmHands : public ActionHands {
public:
  VmHands(hypervisor::VmFound vm, respond::GuardPolicy policy, EvidenceConfig evidence = {});

  /// Who is asked from now on; null: there is none at the moment.
  void take_sensor(std::shared_ptr<launch::SensorProcess> sensor);
  void take_memory(MemoryLayout writable);

  [[nodiscard]] const hypervisor::VmFound &vm() const { return vm_; }
  /// NotFound: no process of the guest has this pid now.
  [[nodiscard]] Result<ProcessSeen> look_at(std::int32_t pid);

  [[nodiscard]] Result<void> allow(const ActionWanted &wanted) override;
  [[nodiscard]] ResponseDone act(const ActionWanted &wanted, bool dry) override;
  [[nodiscard]] Result<void> undo(const ActionWanted &wanted) override;
  [[nodiscard]] Result<bool> holds(const ActionWanted &wanted) override;

private:
  [[nodiscard]] Result<std::shared_ptr<launch::SensorProcess>> sensor();
  [[nodiscard]] Result<std::unique_ptr<hypervisor::VmControl>> open_control();
  [[nodiscard]] Result<ProcessFate> fate(const ActionWanted &wanted);
  /// The process that is meant, as it is now. NotFound: it has ended.
  [[nodiscard]] Result<ProcessSeen> find(const ProcessIdentity &process);
  /// It, and with `tree` its descendants, each after its parent.
  [[nodiscard]] Result<std::vector<ProcessSeen>> family(const ActionWanted &wanted);
  [[nodiscard]] Result<void> check(const ProcessSeen &process);

  [[nodiscard]] ResponseDone signal(const ActionWanted &wanted, GuestSignal signal, bool dry);
  [[nodiscard]] ResponseDone collect(const ActionWanted &wanted, bool dry);
  [[nodiscard]] ResponseDone pause(bool dry);
  [[nodiscard]] Result<void> unpause();
  [[nodiscard]] ResponseDone change_traffic(const ActionWanted &wanted, bool dry);
  [[nodiscard]] Result<void> reset(const ActionWanted &wanted, respond::SensorLink &link, bool dry);

  const hypervisor::VmFound vm_;
  const EvidenceConfig evidence_;
  const respond::Guard guard_;
  TapHands taps_;

  std::mutex mutex_; ///< guards all below
  std::shared_ptr<launch::SensorProcess> sensor_;
  MemoryLayout writable_;
};

} // namespace outguard::daemon
