#include "launch/sensor_process.h"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include <sys/wait.h>

#include "base/message_socket.h"
#include "launch/child_program.h"

namespace outguard::launch {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kCallWait{20'000};  ///< a table of a loaded guest through a loaded host
constexpr milliseconds kScanWait{300'000}; ///< all of a guest's RAM
constexpr milliseconds kReaderTick{1000};
/// More events waiting than this, on the wire, and the sensor is not read any further: it then
/// waits and counts what it loses. A match with many processes is a few KiB.
constexpr std::size_t kMostEventBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxQueuedAnswers = 256; ///< of one request, each at most a message
constexpr std::size_t kMaxTableRows = 1'000'000;
constexpr const char *kName = "outguard-sensor";

Error wrong_answer() {
  return {ErrorCode::InvalidInput, "the sensor answered with something else than was asked for"};
}

template <class Answer> Result<Answer> typed_call(SensorProcess &sensor, Request request) {
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
Result<Table<Row>> collect_rows(SensorProcess &sensor, Request request,
                                milliseconds wait = kCallWait) {
  Table<Row> table;
  const auto take = [&](Report report) -> Result<bool> {
    auto *part = std::get_if<Rows>(&report);
    if (part == nullptr || table.rows.size() + part->rows.size() > kMaxTableRows) {
      return tl::unexpected(wrong_answer());
    }
    std::move(part->rows.begin(), part->rows.end(), std::back_inserter(table.rows));
    table.completeness = std::move(part->completeness);
    return part->last;
  };
  return sensor.call_for_many(std::move(request), wait, take).map([&] { return std::move(table); });
}

} // namespace

struct SensorProcess::Link {
  Link(MessageSocket own, pid_t child) : socket(std::move(own)), pid(child) {
    reader = std::thread([this] { read_reports(); });
  }
  ~Link() {
    ::kill(pid, SIGKILL); // its end of the socket closes, which ends the reader
    {
      const std::lock_guard lock(mutex);
      closing = true;
    }
    room.notify_all();
    reader.join();
    ::waitpid(pid, nullptr, 0);
  }

  void read_reports() {
    while (true) {
      auto message = socket.receive(kReaderTick);
      std::string why;
      if (!message) {
        const bool closed = message.error().code == ErrorCode::Unreachable;
        ::kill(pid, SIGKILL); // its end is closed or broken: there is nothing to wait for
        why = closed ? epitaph(pid, "the sensor") : message.error().message;
      }
      std::unique_lock lock(mutex);
      if (closing) {
        return;
      }
      if (!message || (*message && !file_report((*message)->bytes))) {
        end = message ? Error{ErrorCode::InvalidInput, "the sensor sent a malformed report"}
                      : Error{ErrorCode::Unreachable, std::move(why)};
        answered.notify_all();
        event_came.notify_all();
        return;
      }
      room.wait(lock, [this] { return closing || event_bytes < kMostEventBytes; });
    }
  }

  /// With `mutex` held. False: not a report.
  bool file_report(std::span<const std::uint8_t> bytes) {
    auto report = decode_report(bytes);
    if (!report) {
      return false;
    }
    if (report->id == 0) {
      if (bytes.size() > kMaxEventBytes) {
        return false;
      }
      event_bytes += bytes.size();
      events.emplace_back(std::move(report->body), bytes.size());
      event_came.notify_one();
    } else if (const auto waiting = answers.find(report->id);
               waiting != answers.end() && waiting->second.size() < kMaxQueuedAnswers) {
      waiting->second.push_back(std::move(report->body));
      answered.notify_all();
    } // else: nobody waits for it any more
    return true;
  }

  MessageSocket socket; ///< sent on under send_mutex, received from by the reader only
  const pid_t pid;
  std::mutex send_mutex;

  std::mutex mutex; ///< guards all below
  // One each, so that an event does not wake who waits for an answer: waking costs more than it.
  std::condition_variable answered, event_came, room;
  std::map<std::uint32_t, std::deque<Report>> answers; ///< by request, while somebody waits
  std::deque<std::pair<Report, std::size_t>> events;   ///< with their size on the wire
  std::size_t event_bytes = 0;
  std::optional<Error> end; ///< set once: nothing comes any more
  std::uint32_t last_id = 0;
  bool closing = false;
  std::thread reader;
};

Result<SensorProcess> SensorProcess::start(SensorRole role) {
  auto child = start_child(kName, role == SensorRole::Guard          ? "guard"
                                  : role == SensorRole::CompileIntel ? "compile-intel"
                                  : role == SensorRole::GuardHold    ? "guard-hold"
                                                                     : "pack-evidence");
  if (!child) {
    return tl::unexpected(child.error());
  }
  return SensorProcess(std::make_unique<Link>(std::move(child->control), child->pid));
}

SensorProcess::SensorProcess(std::unique_ptr<Link> link) : link_(std::move(link)) {}
SensorProcess::SensorProcess(SensorProcess &&other) noexcept = default;
SensorProcess &SensorProcess::operator=(SensorProcess &&other) noexcept = default;
SensorProcess::~SensorProcess() = default;

void SensorProcess::stop() {
  ::kill(link_->pid, SIGKILL);
}

Result<std::uint32_t> SensorProcess::send(Request request, std::span<const int> fds,
                                          milliseconds wait) {
  std::uint32_t id = 0;
  {
    const std::lock_guard lock(link_->mutex);
    id = ++link_->last_id;
    link_->answers[id];
  }
  const auto bytes = encode(RequestEnvelope{id, std::move(request)});
  const std::lock_guard lock(link_->send_mutex);
  if (auto sent = link_->socket.send(bytes, fds, wait); !sent) {
    forget(id);
    return tl::unexpected(sent.error());
  }
  return id;
}

Result<Report> SensorProcess::receive(std::uint32_t id, milliseconds wait) {
  std::unique_lock lock(link_->mutex);
  auto &waiting = link_->answers[id];
  if (!link_->answered.wait_for(lock, wait, [&] { return !waiting.empty() || link_->end; })) {
    return fail(ErrorCode::Timeout, "the sensor did not answer in time");
  }
  if (waiting.empty()) {
    return tl::unexpected(*link_->end);
  }
  auto report = std::move(waiting.front());
  waiting.pop_front();
  if (auto *failed = std::get_if<Failed>(&report)) {
    return fail(failed->code, std::move(failed->reason));
  }
  return report;
}

void SensorProcess::forget(std::uint32_t id) {
  const std::lock_guard lock(link_->mutex);
  link_->answers.erase(id);
}

Result<Report> SensorProcess::call(Request request, std::span<const int> fds, milliseconds wait) {
  const auto id = send(std::move(request), fds, wait);
  if (!id) {
    return tl::unexpected(id.error());
  }
  auto report = receive(*id, wait);
  forget(*id);
  return report;
}

Result<std::optional<Report>> SensorProcess::next_event(milliseconds wait) {
  std::unique_lock lock(link_->mutex);
  link_->event_came.wait_for(lock, wait, [&] { return !link_->events.empty() || link_->end; });
  if (link_->events.empty()) {
    if (link_->end) {
      return tl::unexpected(*link_->end);
    }
    return std::nullopt;
  }
  auto [event, bytes] = std::move(link_->events.front());
  link_->events.pop_front();
  const bool was_full = link_->event_bytes >= kMostEventBytes;
  link_->event_bytes -= bytes;
  lock.unlock();
  if (was_full) {
    link_->room.notify_all();
  }
  return std::move(event);
}

Result<Table<ProcessSeen>> list_processes(SensorProcess &sensor, ProcessSearch search) {
  const bool scan = search == ProcessSearch::Scan;
  return collect_rows<ProcessRows, ProcessSeen>(sensor, ListProcesses{true, scan},
                                                scan ? kScanWait : kCallWait);
}

Result<Table<SocketSeen>> list_sockets(SensorProcess &sensor) {
  return collect_rows<SocketRows, SocketSeen>(sensor, ListSockets{});
}

Result<AllSockets> list_all_sockets(SensorProcess &sensor) {
  AllSockets all;
  const auto take = [&](Report report) -> Result<bool> {
    const auto add = [&](auto &part, auto &rows) {
      std::move(part.rows.begin(), part.rows.end(), std::back_inserter(rows));
      all.completeness = std::move(part.completeness);
    };
    if (all.ip.size() + all.others.size() > kMaxTableRows) {
      return tl::unexpected(wrong_answer());
    }
    if (auto *ip = std::get_if<SocketRows>(&report)) {
      add(*ip, all.ip);
      return false; // the others follow
    }
    auto *others = std::get_if<OtherSocketRows>(&report);
    if (others == nullptr) {
      return tl::unexpected(wrong_answer());
    }
    add(*others, all.others);
    return others->last;
  };
  return sensor.call_for_many(ListSockets{true}, kCallWait, take).map([&] {
    return std::move(all);
  });
}

Result<OwnerFound> find_owner(SensorProcess &sensor, const FlowTuple &tuple) {
  return typed_call<OwnerFound>(sensor, FindOwner{tuple});
}

Result<WritePlan> plan_kill(SensorProcess &sensor, const ProcessIdentity &process) {
  return typed_call<PlanMade>(sensor, PlanKill{process}).map([](PlanMade made) {
    return std::move(made.plan);
  });
}

Result<SignalPlan> plan_signal(SensorProcess &sensor, const ProcessIdentity &process,
                               GuestSignal signal) {
  return typed_call<SignalPlanMade>(sensor, PlanSignal{process, signal})
      .map([](SignalPlanMade made) { return std::move(made.plan); });
}

Result<ProcessFate> check_fate(SensorProcess &sensor, const ProcessIdentity &process) {
  return typed_call<FateSeen>(sensor, CheckFate{process}).map([](FateSeen seen) {
    return seen.fate;
  });
}

Result<TcpPosition> locate_flow(SensorProcess &sensor, const FlowSeen &flow) {
  const auto located = typed_call<FlowLocated>(sensor, LocateFlow{flow.interface, flow.flow_id});
  if (!located) {
    return tl::unexpected(located.error());
  }
  if (!located->tcp) {
    return fail(ErrorCode::NotFound, "the flow has ended");
  }
  return *located->tcp;
}

Result<FlowSeen> find_flow(SensorProcess &sensor, const FlowTuple &tuple) {
  auto found = typed_call<FlowFound>(sensor, FindFlow{tuple});
  if (!found) {
    return tl::unexpected(found.error());
  }
  if (!found->flow || found->flow->tuple != tuple) {
    return fail(ErrorCode::NotFound, "no packet of this flow was seen since the VM is guarded");
  }
  return std::move(*found->flow);
}

Result<bool> check_kernel(SensorProcess &sensor, std::string registers) {
  return typed_call<KernelChecked>(sensor, CheckKernel{std::move(registers)})
      .map([](KernelChecked checked) { return checked.same; });
}

Result<CountersSeen> get_counters(SensorProcess &sensor) {
  return typed_call<CountersSeen>(sensor, GetCounters{});
}

} // namespace outguard::launch
