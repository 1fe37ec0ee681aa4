#pragma once
// Guards one VM: keeps a sensor on it, judges what it reports, responds, records. Three threads of
// its own: one looks after the sensor and judges, one responds, so that waiting for a process to
// end holds up no other alert, one brings new intelligence to the sensor (sensor_intel.h). Owned by
// the Supervisor; shares with other guards only what Shared holds.

#include <atomic>
#include <condition_variable>
#include <deque>
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
#include "daemon/sensor_intel.h"
#include "detect/detector.h"
#include "hypervisor/vm_found.h"
#include "launch/attach.h"
#include "launch/sensor_process.h"
#include "respond/guard.h"
#include "respond/responder.h"
#include "store/eve_writer.h"

namespace outguard::daemon {

/// What all guards use. Outlives them; each member is safe from any thread, or guarded as it says.
struct Shared {
  const Config &config;
  IntelBoard &intel;
  store::EveWriter &eve;
  std::function<void(const Finding &, const std::vector<ResponseDone> &)> show; ///< the terminal
  respond::Guard &guard; ///< under guard_lock
  std::mutex &guard_lock;
};

class VmGuard {
public:
  VmGuard(hypervisor::VmFound vm, const Shared &shared);
  /// Ends both threads. What waits for a response is recorded without one.
  ~VmGuard();
  VmGuard(const VmGuard &) = delete;
  VmGuard &operator=(const VmGuard &) = delete;

  /// Tells the threads to end and returns at once, so that many guards can end together.
  void end();

  [[nodiscard]] const hypervisor::VmFound &vm() const { return vm_; }
  /// Of the last look; asks no sensor. Any thread.
  [[nodiscard]] api::GuardStatus status() const;

private:
  class Link; // respond::SensorLink over the sensor of the moment

  // The watching thread.
  void watch();
  /// Starts a sensor and hands it memory, taps and intelligence; false: try again later.
  [[nodiscard]] bool start_sensor();
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

  // The responding thread.
  void respond_to_findings();
  [[nodiscard]] std::vector<ResponseDone> respond(const Finding &finding);
  /// Records what was answered and has its executable's hash, or has waited long enough for it.
  void record_answered(bool all);
  /// Under mutex_: of the process that the finding names.
  [[nodiscard]] const FileHash *hash_for(const Finding &finding) const;
  void record(const Finding &finding, const std::vector<ResponseDone> &done);
  [[nodiscard]] static std::vector<ResponseDone> unanswered(const Finding &finding,
                                                            const std::string &why);
  [[nodiscard]] respond::NetworkActions *network_for(const std::string &tap);

  const hypervisor::VmFound vm_;
  const std::string name_; ///< printable
  const Shared &shared_;
  detect::Detector detector_;
  respond::Responder responder_;
  std::uint64_t lost_ = 0; ///< told already; watching thread only
  PendingDoubt doubt_;     ///< watching thread only
  SensorIntel intel_;      ///< has a thread of its own
  std::map<std::string, std::unique_ptr<respond::TapActions>> taps_; ///< responding thread only

  /// A finding whose responses are done, waiting to be recorded.
  struct Answered {
    Finding finding;
    std::vector<ResponseDone> done;
    MonotonicTime due;
  };
  std::deque<Answered> answered_; ///< responding thread only

  mutable std::mutex mutex_; ///< guards all below
  std::condition_variable changed_;
  std::shared_ptr<launch::SensorProcess> sensor_; ///< null while there is none
  MemoryLayout writable_;
  VmIdentity identity_;
  GuestState state_ = GuestState::Starting;
  std::string reason_; ///< for the state
  WallTime state_since_ = wall_now();
  CountersSeen counters_; ///< at `counted_`
  api::Time counted_;
  LogPace pace_;
  std::deque<Finding> findings_;        ///< waiting for their responses
  std::deque<ExecutableHashed> hashes_; ///< the latest
  bool ending_ = false;

  std::thread responding_;
  std::thread watching_;
};

} // namespace outguard::daemon
