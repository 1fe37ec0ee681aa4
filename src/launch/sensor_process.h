#pragma once
// A running outguard-sensor as the privileged side sees it: starts the sandboxed process, hands it
// requests with descriptors, receives its reports. Everything it says is checked for form here and
// believed only about its own VM. Ending the object ends the process. One thread at a time.

#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/message_socket.h"
#include "base/result.h"
#include "facts/messages.h"

namespace outguard::launch {

/// Which sandbox the process enters.
enum class SensorRole { Guard, CompileIntel };

class SensorProcess {
public:
  /// Runs the `outguard-sensor` that stands beside the running program.
  [[nodiscard]] static Result<SensorProcess> start(SensorRole role);

  SensorProcess(SensorProcess &&other) noexcept;
  SensorProcess &operator=(SensorProcess &&) = delete;
  ~SensorProcess();

  /// For poll(2): readable when a report waits.
  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Sends a request and returns the first report that answers it; reports that nobody asked for are
  /// kept for next_event(). A Failed answer becomes an Error with its reason.
  [[nodiscard]] Result<Report> call(Request request, std::span<const int> fds,
                                    std::chrono::milliseconds wait);
  /// Further reports to the same request (tables come in several).
  [[nodiscard]] Result<Report> more(std::chrono::milliseconds wait);

  /// The next report that nobody asked for; nullopt after `wait`.
  [[nodiscard]] Result<std::optional<Report>> next_event(std::chrono::milliseconds wait);

private:
  SensorProcess(MessageSocket socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
  [[nodiscard]] Result<std::optional<ReportEnvelope>> receive(std::chrono::milliseconds wait);

  MessageSocket socket_;
  pid_t pid_ = -1;
  std::uint32_t last_id_ = 0;
  std::deque<Report> events_;
};

// ---- Typed calls -----------------------------------------------------------------------------------

template <class Row> struct Table {
  std::vector<Row> rows;
  Completeness completeness;
};

[[nodiscard]] Result<Table<ProcessSeen>> list_processes(SensorProcess &sensor);
[[nodiscard]] Result<Table<SocketSeen>> list_sockets(SensorProcess &sensor);
[[nodiscard]] Result<OwnerFound> find_owner(SensorProcess &sensor, const FlowTuple &tuple);
[[nodiscard]] Result<WritePlan> plan_kill(SensorProcess &sensor, const ProcessIdentity &process);
[[nodiscard]] Result<ProcessFate> check_fate(SensorProcess &sensor, const ProcessIdentity &process);
[[nodiscard]] Result<CountersSeen> get_counters(SensorProcess &sensor);

} // namespace outguard::launch
