#pragma once
// One short-lived connection to a QEMU's QMP socket. QEMU serves one client at a time, so connect,
// ask and let go. Every call has a time limit and every reply a cap: after an escape from the guest
// QEMU itself is hostile. One thread at a time; owns its socket.

#include <chrono>
#include <cstdint>
#include <string>

#include <sys/types.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace outguard::hypervisor {

struct RunState {
  bool running = false;
  std::string status; ///< QEMU's word: "running", "paused", "inmigrate", ...
};

class QmpClient {
public:
  static constexpr std::chrono::milliseconds kDefaultWait{2000};
  /// `info mtree -f` of a machine with many devices is below 1 MiB; registers 2 KiB a vCPU.
  static constexpr std::size_t kMostReplyBytes = std::size_t{8} << 20;

  /// Connects, reads the greeting and negotiates. `expected_pid` 0: whoever listens. A listener
  /// that is another process is refused before a byte is sent. Unreachable also covers "another
  /// client is connected", which shows as no greeting within `wait`.
  [[nodiscard]] static Result<QmpClient> connect(const std::string &path, pid_t expected_pid = 0,
                                                 std::chrono::milliseconds wait = kDefaultWait);

  /// Runs one command; `arguments` is a JSON object, the answer is the JSON of "return". With
  /// `descriptor`, QEMU receives a copy of it (getfd).
  [[nodiscard]] Result<std::string> execute(const std::string &command,
                                            const std::string &arguments = "{}",
                                            std::chrono::milliseconds wait = kDefaultWait,
                                            int descriptor = -1);
  /// One line for the human monitor; its answer is unparsed text.
  [[nodiscard]] Result<std::string> human(const std::string &line,
                                          std::chrono::milliseconds wait = kDefaultWait);
  [[nodiscard]] Result<RunState> status(std::chrono::milliseconds wait = kDefaultWait);
  [[nodiscard]] Result<void> stop(std::chrono::milliseconds wait = kDefaultWait);
  [[nodiscard]] Result<void> cont(std::chrono::milliseconds wait = kDefaultWait);

  /// How long the VM stood since the connection, by the events that came with answers: from when
  /// its last processor had stopped until all were told to run.
  [[nodiscard]] std::chrono::nanoseconds stood() const { return stood_; }

  /// Another process had this connection too, and died: what it left unread is no answer to us.
  void start_over();

  /// Process that listens on the socket.
  [[nodiscard]] pid_t peer_pid() const { return peer_pid_; }

private:
  QmpClient(Fd socket, pid_t peer) : socket_(std::move(socket)), peer_pid_(peer) {}

  [[nodiscard]] Result<void> send(const std::string &text, int descriptor, MonotonicTime deadline);
  /// The next JSON object as text: QMP puts one a line, but not with -qmp-pretty.
  [[nodiscard]] Result<std::string> next_object(MonotonicTime deadline);
  [[nodiscard]] Result<void> negotiate(MonotonicTime deadline);
  void count_event(const std::string &name, std::chrono::microseconds at);

  Fd socket_;
  pid_t peer_pid_ = 0;
  std::uint64_t last_id_ = 0;
  std::string received_;
  std::chrono::microseconds stopped_at_{}; ///< QEMU's wall clock; 0: it runs, as far as was told
  std::chrono::nanoseconds stood_{};
};

} // namespace outguard::hypervisor
