#pragma once
// Responds to the findings of one VM, one after the other, and records each: an alert with what was
// done about it. On a thread of its own, so that waiting for a process to end holds up nothing
// else. Owned by the VM's guard, which tells it of each sensor. Members are for any thread.

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "facts/finding.h"
#include "facts/memory_layout.h"
#include "facts/messages.h"
#include "hypervisor/vm_found.h"
#include "launch/sensor_process.h"
#include "respond/network_actions.h"
#include "respond/responder.h"

namespace outguard::daemon {

struct Shared;

class ResponseThread {
public:
  /// All outlive it.
  ResponseThread(const hypervisor::VmFound &vm, const std::string &name, const Shared &shared);
  /// What waits for a response is recorded without one.
  ~ResponseThread();
  ResponseThread(const ResponseThread &) = delete;
  ResponseThread &operator=(const ResponseThread &) = delete;

  /// Tells the thread to end and returns at once.
  void end();

  /// Who is asked from now on; null: there is none at the moment.
  void take_sensor(std::shared_ptr<launch::SensorProcess> sensor);
  /// Where the guest's memory is now, for writing.
  void take_memory(MemoryLayout writable);
  /// An alert waits a moment for the hash of what its process runs.
  void take_hash(const ExecutableHashed &hashed);
  /// Where too many wait already the alert is recorded at once, without a response.
  void answer(Finding finding);

private:
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

  /// A finding whose responses are done, waiting to be recorded.
  struct Answered {
    Finding finding;
    std::vector<ResponseDone> done;
    MonotonicTime due;
  };

  const hypervisor::VmFound &vm_;
  const std::string &name_;
  const Shared &shared_;

  // Of the thread alone.
  respond::Responder responder_;
  std::deque<Answered> answered_;
  std::map<std::string, std::unique_ptr<respond::TapActions>> taps_;

  std::mutex mutex_; ///< guards all below
  std::condition_variable changed_;
  std::shared_ptr<launch::SensorProcess> sensor_;
  MemoryLayout writable_;
  std::deque<Finding> findings_;
  std::deque<ExecutableHashed> hashes_;
  bool ending_ = false;

  std::thread thread_; ///< last: it uses all above
};

} // namespace outguard::daemon
