#pragma once
// A running outguard-sensor as the privileged side sees it: starts the sandboxed process, hands it
// requests with descriptors, receives its reports. Everything it says is checked for form here and
// believed only about its own VM. Ending the object ends the process. Any thread may call; a thread
// of its own reads the socket, so that a call that waits holds up neither other calls nor events.

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "facts/messages.h"

namespace outguard::launch {

/// Which sandbox the process enters.
enum class SensorRole { Guard, CompileIntel, PackEvidence, GuardHold };

class SensorProcess {
public:
  /// Runs the `outguard-sensor` that stands beside the running program.
  [[nodiscard]] static Result<SensorProcess> start(SensorRole role);

  SensorProcess(SensorProcess &&other) noexcept;
  SensorProcess &operator=(SensorProcess &&other) noexcept;
  ~SensorProcess();

  /// Sends a request and waits for its answer. A Failed answer becomes an Error with its reason;
  /// Unreachable: the sensor has ended.
  [[nodiscard]] Result<Report> call(Request request, std::span<const int> fds,
                                    std::chrono::milliseconds wait);
  /// The same for an answer in several reports; `take` says of each whether it was the last.
  template <class Take>
  [[nodiscard]] Result<void> call_for_many(Request request, std::chrono::milliseconds wait,
                                           Take take);

  /// Ends the process at once; every call, also one that waits now, then fails with Unreachable.
  void stop();

  /// The next report that nobody asked for, in order; nullopt after `wait`. Unreachable once the
  /// sensor has ended and all its events were taken.
  [[nodiscard]] Result<std::optional<Report>> next_event(std::chrono::milliseconds wait);

private:
  struct Link; // process, socket, reader thread, queues

  explicit SensorProcess(std::unique_ptr<Link> link);
  [[nodiscard]] Result<std::uint32_t> send(Request request, std::span<const int> fds,
                                           std::chrono::milliseconds wait);
  /// The next report to request `id`.
  [[nodiscard]] Result<Report> receive(std::uint32_t id, std::chrono::milliseconds wait);
  void forget(std::uint32_t id);

  std::unique_ptr<Link> link_;
};

template <class Take>
Result<void> SensorProcess::call_for_many(Request request, std::chrono::milliseconds wait,
                                          Take take) {
  const auto id = send(std::move(request), {}, wait);
  if (!id) {
    return tl::unexpected(id.error());
  }
  Result<void> outcome;
  for (bool last = false; !last && outcome;) {
    auto report = receive(*id, wait);
    const Result<bool> taken = report ? take(std::move(*report)) : tl::unexpected(report.error());
    last = taken.value_or(true);
    if (!taken) {
      outcome = tl::unexpected(taken.error());
    }
  }
  forget(*id);
  return outcome;
}

// ---- Typed calls
// -----------------------------------------------------------------------------------

template <class Row> struct Table {
  std::vector<Row> rows;
  Completeness completeness;
};

/// With all views of the kernel compared; a scan of RAM takes about a second for each GiB.
enum class ProcessSearch : std::uint8_t { CrossViews, Scan };
[[nodiscard]] Result<Table<ProcessSeen>>
list_processes(SensorProcess &sensor, ProcessSearch search = ProcessSearch::CrossViews);
[[nodiscard]] Result<Table<SocketSeen>> list_sockets(SensorProcess &sensor);
struct AllSockets {
  std::vector<SocketSeen> ip; ///< also those neither bound nor connected
  std::vector<OtherSocketSeen> others;
  Completeness completeness;
};
[[nodiscard]] Result<AllSockets> list_all_sockets(SensorProcess &sensor);
[[nodiscard]] Result<OwnerFound> find_owner(SensorProcess &sensor, const FlowTuple &tuple);
[[nodiscard]] Result<WritePlan> plan_kill(SensorProcess &sensor, const ProcessIdentity &process);
[[nodiscard]] Result<SignalPlan> plan_signal(SensorProcess &sensor, const ProcessIdentity &process,
                                             GuestSignal signal);
[[nodiscard]] Result<ProcessFate> check_fate(SensorProcess &sensor, const ProcessIdentity &process);
/// NotFound: the flow has ended.
[[nodiscard]] Result<TcpPosition> locate_flow(SensorProcess &sensor, const FlowSeen &flow);
/// NotFound: no packet of it was seen, or it has ended.
[[nodiscard]] Result<FlowSeen> find_flow(SensorProcess &sensor, const FlowTuple &tuple);
/// Do the CPUs, whose registers these are, still run the kernel that the sensor found?
[[nodiscard]] Result<bool> check_kernel(SensorProcess &sensor, std::string registers);
[[nodiscard]] Result<CountersSeen> get_counters(SensorProcess &sensor);

} // namespace outguard::launch
