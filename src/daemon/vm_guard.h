#pragma once
// Guards one VM: keeps a sensor on it, judges what it reports, responds, records. Three threads of
// its own: one looks after the sensor and judges, one responds (response_thread.h), one brings new
// intelligence to the sensor (sensor_intel.h). Owned by
// the Supervisor; shares with other guards only what Shared holds.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "api/supervisor_status.h"
#include "base/fd.h"
#include "daemon/attach_timing.h"
#include "daemon/config.h"
#include "daemon/intel_board.h"
#include "daemon/log_pace.h"
#include "daemon/policy_keeper.h"
#include "daemon/response_thread.h"
#include "daemon/sensor_intel.h"
#include "daemon/sensor_policy.h"
#include "daemon/tap_gates.h"
#include "daemon/vm_hands.h"
#include "detect/detector.h"
#include "hypervisor/vm_found.h"
#include "launch/attach.h"
#include "launch/sensor_process.h"
#include "respond/guard.h"
#include "store/eve_writer.h"

namespace outguard::daemon {

/// What all guards use. Outlives them; each member is safe from any thread, or guarded as it says.
struct Shared {
  const Config &config;
  IntelBoard &intel;
  const PolicyKeeper &policies;
  store::EveWriter &eve;
  ResponseParts responses;
  respond::GuardPolicy guard_policy;
  std::function<void(const std::string &vm)> found_vm; ///< guarded, or readable (again); its key
};

class VmGuard {
public:
  VmGuard(hypervisor::VmFound vm, const Shared &shared);
  /// What waits for a response is recorded without one.
  ~VmGuard();
  VmGuard(const VmGuard &) = delete;
  VmGuard &operator=(const VmGuard &) = delete;

  /// Tells the threads to end and returns at once, so that many guards can end together.
  void end();

  [[nodiscard]] const hypervisor::VmFound &vm() const { return vm_; }
  /// What acts on it; outlives this. Any thread.
  [[nodiscard]] const std::shared_ptr<VmHands> &hands() const { return hands_; }
  /// Of the last look; asks no sensor. Any thread.
  [[nodiscard]] api::GuardStatus status() const;

private:
  // All on the watching thread.
  void watch();
  /// Starts a sensor and hands it memory, taps and intelligence; false: try again later.
  [[nodiscard]] bool start_sensor();
  /// In prevent mode one that holds packets; where that cannot be had, one that does not.
  [[nodiscard]] Result<launch::SensorProcess> start_process();
  [[nodiscard]] Result<launch::SensorProcess> start_holding();
  void set_prevention(std::string words);
  /// What passed or was dropped since nobody judged, or too much waited.
  void tell_unjudged(const std::vector<NamedCount> &gates);
  void attach_memory();
  void take_events();
  void take(Report event);
  /// The sensor's picture may be old: finds out, and attaches again where it is.
  void settle(Doubt doubt);
  void tell_losses();
  void judge(MatchSeen match);
  /// How often what was alerted came again; into the EVE file only.
  void record(const MatchedFlowEnded &ended);
  void set_state(GuestState state, const std::string &reason);
  /// Into the log, what the sensor said; mutex_ is held.
  void tell(const std::string &text, bool is_good);
  /// False when it is time to end.
  [[nodiscard]] bool sleep_for(std::chrono::milliseconds time);

  const hypervisor::VmFound vm_;
  const std::string name_; ///< printable
  const Shared &shared_;
  const bool prevents_;
  detect::Detector detector_;
  ResponseThread responses_;
  const std::shared_ptr<VmHands> hands_;
  std::uint64_t lost_ = 0;        ///< told already; watching thread only
  MemoryLayout writable_;         ///< the same
  PendingDoubt doubt_;            ///< watching thread only
  std::optional<TapGates> gates_; ///< watching thread only, as the next
  std::uint64_t unjudged_ = 0;    ///< told already
  SensorPolicy policy_;
  SensorIntel intel_; ///< has a thread of its own

  mutable std::mutex mutex_; ///< guards all below
  std::condition_variable changed_;
  std::shared_ptr<launch::SensorProcess> sensor_; ///< null while there is none
  VmIdentity identity_;
  GuestState state_ = GuestState::Starting;
  std::string reason_;     ///< for the state
  std::string prevention_; ///< what is held, or why nothing is; empty: nobody wants that
  WallTime state_since_ = wall_now();
  CountersSeen counters_; ///< at `counted_`
  api::Time counted_;
  LogPace pace_;
  bool ending_ = false;

  std::thread watching_;
};

} // namespace outguard::daemon
