#include "launch/sensor_process.h"

#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace outguard::launch {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kCallWait{20'000}; ///< a table of a loaded guest through a loaded host
constexpr std::size_t kMaxQueuedEvents = 4096;
constexpr std::size_t kMaxTableRows = 1'000'000;
constexpr int kControlFd = 3; ///< where the sensor expects its control socket

Result<std::string> sensor_path() {
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  if (problem) {
    return fail(ErrorCode::SystemFailed, "/proc/self/exe: " + problem.message());
  }
  return (self.parent_path() / "outguard-sensor").string();
}

/// In the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_sensor(const char *path, const char *role, int control) {
  if (control == kControlFd) {
    ::fcntl(control, F_SETFD, 0);
  } else {
    ::dup2(control, kControlFd);
  }
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  const char *const arguments[] = {"outguard-sensor", role, nullptr};
  const char *const environment[] = {nullptr};
  ::execve(path, const_cast<char *const *>(arguments), const_cast<char *const *>(environment));
  ::_exit(127);
}

Error wrong_answer() {
  return {ErrorCode::InvalidInput, "the sensor answered with something else than was asked for"};
}

template <class Answer>
Result<Answer> typed_call(SensorProcess &sensor, Request request) {
  auto report = sensor.call(std::move(request), {}, kCallWait);
  if (!report) {
    return tl::unexpected(report.error());
  }
  if (auto *answer = std::get_if<Answer>(&*report)) {
    return std::move(*answer);
  }
  return tl::unexpected(wrong_answer());
}

template <class Rows, class Row>
Result<Table<Row>> collect_rows(SensorProcess &sensor, Request request) {
  Table<Row> table;
  auto report = sensor.call(std::move(request), {}, kCallWait);
  while (report) {
    auto *part = std::get_if<Rows>(&*report);
    if (part == nullptr || table.rows.size() + part->rows.size() > kMaxTableRows) {
      return tl::unexpected(wrong_answer());
    }
    std::move(part->rows.begin(), part->rows.end(), std::back_inserter(table.rows));
    if (part->last) {
      table.completeness = std::move(part->completeness);
      return table;
    }
    report = sensor.more(kCallWait);
  }
  return tl::unexpected(report.error());
}

} // namespace

Result<SensorProcess> SensorProcess::start(SensorRole role) {
  const auto path = sensor_path();
  if (!path) {
    return tl::unexpected(path.error());
  }
  if (::access(path->c_str(), X_OK) != 0) {
    return fail_errno(*path);
  }
  auto ends = MessageSocket::pair();
  if (!ends) {
    return tl::unexpected(ends.error());
  }
  const char *role_name = role == SensorRole::Guard ? "guard" : "compile-intel";
  // vfork: the parent may be a supervisor with much memory; fork would copy its page tables.
  const pid_t child = ::vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (child < 0) {
    return fail_errno("vfork");
  }
  if (child == 0) {
    become_sensor(path->c_str(), role_name, ends->second.fd());
  }
  return SensorProcess(std::move(ends->first), child);
}

SensorProcess::SensorProcess(SensorProcess &&other) noexcept
    : socket_(std::move(other.socket_)), pid_(std::exchange(other.pid_, -1)),
      last_id_(other.last_id_), events_(std::move(other.events_)) {}

SensorProcess::~SensorProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

Result<std::optional<ReportEnvelope>> SensorProcess::receive(milliseconds wait) {
  auto message = socket_.receive(wait);
  if (!message) {
    return tl::unexpected(message.error());
  }
  if (!*message) {
    return std::nullopt;
  }
  auto report = decode_report((*message)->bytes);
  if (!report) {
    return fail(ErrorCode::InvalidInput, "the sensor sent a malformed report");
  }
  return report;
}

Result<Report> SensorProcess::call(Request request, std::span<const int> fds, milliseconds wait) {
  const auto sent =
      socket_.send(encode(RequestEnvelope{++last_id_, std::move(request)}), fds, wait);
  if (!sent) {
    return tl::unexpected(sent.error());
  }
  return more(wait);
}

Result<Report> SensorProcess::more(milliseconds wait) {
  const auto deadline = steady_clock::now() + wait;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) {
      return fail(ErrorCode::Timeout, "the sensor did not answer in time");
    }
    auto report = receive(left);
    if (!report) {
      return tl::unexpected(report.error());
    }
    if (!*report) {
      continue;
    }
    auto &[id, body] = **report;
    if (id == 0) {
      if (events_.size() >= kMaxQueuedEvents) {
        return fail(ErrorCode::LimitReached, "the sensor floods its supervisor with events");
      }
      events_.push_back(std::move(body));
    } else if (id == last_id_) {
      if (auto *failed = std::get_if<Failed>(&body)) {
        return fail(ErrorCode::InvalidInput, std::move(failed->reason));
      }
      return std::move(body);
    } // an answer to an earlier call that had timed out: nobody waits for it any more
  }
}

Result<std::optional<Report>> SensorProcess::next_event(milliseconds wait) {
  if (!events_.empty()) {
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  auto report = receive(wait);
  if (!report) {
    return tl::unexpected(report.error());
  }
  if (!*report || (*report)->id != 0) {
    return std::nullopt;
  }
  return std::move((*report)->body);
}

Result<Table<ProcessSeen>> list_processes(SensorProcess &sensor) {
  return collect_rows<ProcessRows, ProcessSeen>(sensor, ListProcesses{});
}

Result<Table<SocketSeen>> list_sockets(SensorProcess &sensor) {
  return collect_rows<SocketRows, SocketSeen>(sensor, ListSockets{});
}

Result<OwnerFound> find_owner(SensorProcess &sensor, const FlowTuple &tuple) {
  return typed_call<OwnerFound>(sensor, FindOwner{tuple});
}

Result<WritePlan> plan_kill(SensorProcess &sensor, const ProcessIdentity &process) {
  return typed_call<PlanMade>(sensor, PlanKill{process}).map([](PlanMade made) {
    return std::move(made.plan);
  });
}

Result<ProcessFate> check_fate(SensorProcess &sensor, const ProcessIdentity &process) {
  return typed_call<FateSeen>(sensor, CheckFate{process}).map([](FateSeen seen) {
    return seen.fate;
  });
}

Result<CountersSeen> get_counters(SensorProcess &sensor) {
  return typed_call<CountersSeen>(sensor, GetCounters{});
}

} // namespace outguard::launch
