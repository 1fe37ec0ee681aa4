#include "sensor/request_loop.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

#include <poll.h>

#include "base/clock.h"
#include "facts/wire.h"
#include "sensor/event_size.h"
#include "sensor/mapped_file.h"
#include "sensor/row_sender.h"

namespace outguard::sensor {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSendWait{5000};
/// A capture waits for its reader (a pager); a tap does not.
constexpr std::chrono::hours kReplaySendWait{24};
/// Of a replay, for the executables of a guest that may have made them many and large.
constexpr std::chrono::minutes kReplayHashing{5};
constexpr milliseconds kLongestSleep = KernelWatch::kInterval;
/// Rows are sent in messages well below the limit; one row is at most a path and an argument list.
constexpr std::size_t kRowsBytes = kMaxMessageBytes / 2;

/// An image that lives as long as somebody looks things up in it.
struct MappedImage {
  MappedFile file;
  intel::IntelImage image;
};

Result<intel::IntelSet::Image> open_image(const Fd &fd, bool verify) {
  auto file = MappedFile::open(fd);
  if (!file) {
    return tl::unexpected(file.error());
  }
  auto image = intel::IntelImage::open(file->bytes());
  if (!image) {
    return tl::unexpected(image.error());
  }
  // The old image is in use still: never room for both.
  const auto release = [&](std::span<const std::uint8_t> part) { file->release(part); };
  if (const auto verified = verify ? image->verify(release) : Result<void>(); !verified) {
    return tl::unexpected(verified.error());
  }
  const auto owner = std::make_shared<MappedImage>(MappedImage{std::move(*file), *image});
  return intel::IntelSet::Image(owner, &owner->image);
}

/// As respond/sensor_link.h wants it: NotFound and Unsupported end the matter, the rest is worth a
/// try.
ErrorCode code_of(guest::KillRefusal refusal) {
  switch (refusal) {
  case guest::KillRefusal::NoSuchProcess:
  case guest::KillRefusal::AlreadyExiting:
    return ErrorCode::NotFound;
  case guest::KillRefusal::InitProcess:
  case guest::KillRefusal::KernelThread:
  case guest::KillRefusal::Unsupported:
    return ErrorCode::Unsupported;
  case guest::KillRefusal::LockHeld:
  case guest::KillRefusal::Unreadable:
    break;
  }
  return ErrorCode::Timeout;
}

} // namespace

void RequestLoop::run() {
  while (true) {
    std::vector<pollfd> items{{control_.fd(), POLLIN, 0}};
    taps_.add_to(items);
    const std::size_t watched = items.size();
    held_.add_to(items);
    const bool is_busy = hashes_.has_work() || taps_.has_work() || evidence_.has_work();
    const auto sleep = is_busy ? milliseconds(0) : held_.patience(kLongestSleep);
    if (::poll(items.data(), items.size(), static_cast<int>(sleep.count())) < 0 && errno != EINTR) {
      return;
    }
    judge_held();
    if (items[0].revents != 0 && !answer_requests()) {
      return;
    }
    taps_.note_errors(std::span(items).first(watched).subspan(1));
    taps_.pump();
    taps_.expire_flows();
    judge_held();
    hashes_.work();
    evidence_.work();
    if (const auto doubt = view_.doubt(monotonic_now())) {
      publish(DoubtRaised{*doubt});
    }
  }
}

void RequestLoop::hold(const HoldSlots &held) {
  if (held.taps() == 0) {
    return;
  }
  if (!held_.open(held, sink_.policy(), sink_.owners(), sink_.held())) {
    return send(held.id(), Failed{"a page of the kernel's cannot be mapped, so no tap is held"});
  }
  taps_.give_way([this] { judge_held(); });
  send(held.id(), Done{});
}

void RequestLoop::judge_held() {
  held_.work([this](const std::string &interface, const guest::PacketView &packet) {
    taps_.take(interface, packet);
  });
}

bool RequestLoop::answer_requests() {
  auto message = control_.receive(milliseconds(0));
  if (!message) {
    return false;
  }
  if (!*message) {
    return true;
  }
  const auto request = decode_request((*message)->bytes);
  if (!request) {
    return false; // our own side speaks another version: nothing can be answered
  }
  std::visit([&](const auto &body) { answer(request->id, body, (*message)->fds); }, request->body);
  return true;
}

void RequestLoop::send(std::uint32_t id, Report report) {
  const auto bytes = encode(ReportEnvelope{id, std::move(report)});
  if (!control_.send(bytes, {}, clock_ != nullptr ? kReplaySendWait : kSendWait)) {
    ++reports_lost_; // a broken socket ends the loop at the next receive
  }
}

void RequestLoop::publish(Report report) {
  const guest::StageScope scope(clock_, guest::Stage::Report);
  send(0, report);
  if (const auto *match = std::get_if<MatchSeen>(&report)) {
    hashes_.want(*match); // after the match: nobody waits for a hash before responding
  }
}

// ---- Packets -------------------------------------------------------------------------

void RequestLoop::answer(std::uint32_t id, const OpenTap &request, Fds &fds) {
  if (fds.size() != 2 || taps_.is_full()) {
    return send(id, Failed{"OpenTap needs two descriptors, and at most 32 taps are watched"});
  }
  const auto opened = taps_.open(std::move(fds[0]), std::move(fds[1]), request.ring);
  if (!opened) {
    return send(id, Failed{std::string("the packet ring cannot be mapped: ") +
                           guest::to_string(opened.error().code)});
  }
  held_.begin();
  send(id, Done{});
}

void RequestLoop::answer(std::uint32_t id, const ReplayCapture &request, Fds &fds) {
  if (fds.size() != 1) {
    return send(id, Failed{"ReplayCapture needs one descriptor"});
  }
  constexpr std::chrono::milliseconds kBetween{100};
  auto next = monotonic_now() + kBetween;
  std::chrono::nanoseconds hashing = kReplayHashing;
  guest::StageClock clock;
  clock_ = &clock;
  ReplayDone done = taps_.replay(request.name, std::move(fds[0]), clock,
                                 [&](std::uint64_t bytes, std::uint64_t packets) {
                                   hashes_.drain(hashing); // a capture waits
                                   if (const auto now = monotonic_now(); now >= next) {
                                     next = now + kBetween;
                                     publish(ReplayProgress{bytes, packets});
                                   }
                                 });
  clock_ = nullptr;
  add_own(done.counters);
  send(id, std::move(done));
}

void RequestLoop::answer(std::uint32_t id, const GetCounters &, Fds &) {
  CountersSeen counters = taps_.count();
  held_.count(counters);
  add_own(counters);
  send(id, std::move(counters));
}

void RequestLoop::add_own(CountersSeen &counters) const {
  counters.other.push_back({"reports_lost", reports_lost_});
  counters.other.push_back({"tap_errors", taps_.errors()});
}

void RequestLoop::answer(std::uint32_t id, const LocateFlow &request, Fds &) {
  taps_.pump(); // what waits in the rings may move the flow on
  send(id, FlowLocated{taps_.locate(request.interface, request.flow_id)});
}

void RequestLoop::answer(std::uint32_t id, const FindFlow &request, Fds &) {
  taps_.pump();
  send(id, FlowFound{taps_.find(request.tuple)});
}

// ---- Guest ---------------------------------------------------------------------------

void RequestLoop::answer(std::uint32_t id, const AttachMemory &request, Fds &fds) {
  hashes_.forget(); // they read through the guest that is let go now
  evidence_.forget();
  constexpr std::chrono::milliseconds kBetween{100};
  auto next = monotonic_now() + kBetween;
  send(id, view_.attach(request, std::move(fds), [&](std::uint64_t done, std::uint64_t total) {
    if (const auto now = monotonic_now(); now >= next) {
      next = now + kBetween;
      publish(ScanProgress{done, total});
    }
    judge_held();
  }));
}

std::string RequestLoop::not_ready() const {
  const auto &state = view_.state();
  return std::string("the guest is ") + to_string(state.state) +
         (state.reason.empty() ? "" : ": " + state.reason);
}

template <class Rows, class Row>
void RequestLoop::send_rows(std::uint32_t id, std::vector<Row> rows,
                            const guest::Completeness &completeness) {
  send_in_parts<Rows>(std::move(rows), describe(completeness),
                      [&](Rows part) { send(id, std::move(part)); });
  if (view_.note(completeness)) {
    publish(view_.state());
  }
}

void RequestLoop::answer(std::uint32_t id, const ListProcesses &request, Fds &) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    return send(id, Failed{not_ready(), ErrorCode::Unreachable});
  }
  using guest::ViewScope;
  auto seen = guest->processes(request.scan          ? ViewScope::Memory
                               : request.cross_views ? ViewScope::Kernel
                                                     : ViewScope::None);
  send_rows<ProcessRows>(id, std::move(seen.processes), seen.completeness);
}

void RequestLoop::answer(std::uint32_t id, const ListSockets &request, Fds &) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    return send(id, Failed{not_ready(), ErrorCode::Unreachable});
  }
  auto seen = request.all ? guest->all_sockets() : guest->sockets();
  if (!request.all) {
    return send_rows<SocketRows>(id, std::move(seen.sockets), seen.completeness);
  }
  std::move(seen.unbound.begin(), seen.unbound.end(), std::back_inserter(seen.sockets));
  send_rows<SocketRows>(id, std::move(seen.sockets), seen.completeness);
  send_rows<OtherSocketRows>(id, std::move(seen.others), seen.completeness);
}

void RequestLoop::answer(std::uint32_t id, const DescribeProcess &request, Fds &) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    return send(id, Failed{not_ready(), ErrorCode::Unreachable});
  }
  auto detail = guest->describe(request.pid);
  if (!detail) {
    const bool is_known = detail.error().code != guest::FaultCode::NotFound;
    return send(id, is_known ? Failed{std::string("the process cannot be read: ") +
                                      guest::to_string(detail.error().code)}
                             : Failed{"no such process", ErrorCode::NotFound});
  }
  const ProcessIdentity identity = detail->process.identity;
  if (request.hash && !detail->process.kernel_thread) {
    detail->executable = guest->hash_executable(identity);
  }
  send(id, ProcessDetailed{std::move(*detail)});
  if (!request.maps) {
    return;
  }
  auto seen = guest->maps(identity);
  if (!seen) {
    return send(id, Failed{std::string("what is mapped cannot be read: ") +
                           guest::to_string(seen.error().code)});
  }
  send_rows<MapRows>(id, std::move(seen->maps), seen->completeness);
}

void RequestLoop::answer(std::uint32_t id, const FindOwner &request, Fds &) {
  const auto start = monotonic_now();
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    return send(id, Failed{not_ready(), ErrorCode::Unreachable});
  }
  OwnerFound found;
  found.attribution = guest->attribute(request.tuple, wall_now());
  fit_into_event(found.attribution);
  found.attribution.latency_ns = static_cast<std::uint64_t>((monotonic_now() - start).count());
  send(id, std::move(found));
}

void RequestLoop::answer(std::uint32_t id, const CheckKernel &request, Fds &) {
  send(id, KernelChecked{view_.is_run_by(request.registers)});
}

void RequestLoop::answer(std::uint32_t id, const PlanKill &request, Fds &) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    return send(id, Failed{not_ready(), ErrorCode::Unreachable});
  }
  auto plan = guest->plan_kill(request.process);
  if (!plan) {
    return send(id, Failed{guest::to_string(plan.error()), code_of(plan.error())});
  }
  send(id, PlanMade{std::move(*plan)});
}

void RequestLoop::answer(std::uint32_t id, const PlanSignal &request, Fds &) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    return send(id, Failed{not_ready(), ErrorCode::Unreachable});
  }
  auto plan = guest->plan_signal(request.process, request.signal);
  if (!plan) {
    return send(id, Failed{plan.error().reason, code_of(plan.error().refusal)});
  }
  send(id, SignalPlanMade{std::move(*plan)});
}

void RequestLoop::answer(std::uint32_t id, const CheckFate &request, Fds &) {
  guest::LinuxGuest *guest = view_.guest();
  send(id, FateSeen{guest == nullptr ? ProcessFate::Unknown : guest->fate(request.process)});
}

// ---- Evidence ------------------------------------------------------------------------

template <class Evidence>
void RequestLoop::answer(std::uint32_t id, const Evidence &request, Fds &fds) {
  if constexpr (requires { evidence_.answer(id, request, fds); }) {
    evidence_.answer(id, request, fds);
  } else if constexpr (requires { evidence_.answer(id, request); }) {
    evidence_.answer(id, request);
  } else {
    send(id, Failed{"this process guards a VM; archives are packed elsewhere"});
  }
}

// ---- Intelligence --------------------------------------------------------------------

void RequestLoop::answer(std::uint32_t id, const UseIntel &request, Fds &fds) {
  if (request.is_delta ? fds.size() != 1 : fds.size() > 2) {
    return send(id, Failed{"UseIntel needs an image, a delta, or both"});
  }
  if (request.is_delta && intel_ == nullptr) {
    return send(id, Failed{"no intelligence is loaded that a delta could change"});
  }
  std::array<intel::IntelSet::Image, 2> images; // of the base and its delta
  if (request.is_delta) {
    images[0] = intel_->base();
  }
  for (std::size_t at = request.is_delta ? 1 : 0; auto &fd : fds) {
    const bool is_delta = at == 1;
    auto opened = open_image(fd, request.verify || is_delta);
    if (!opened) {
      return send(id, Failed{opened.error().message});
    }
    if (!is_delta && (*opened)->indicator_count() == 0) {
      return send(id, Failed{"the intelligence image holds no indicator"});
    }
    images[at++] = std::move(*opened);
  }
  intel_ = images[0] ? std::make_shared<intel::IntelSet>(images[0], images[1]) : nullptr;
  sink_.use(intel_);
  held_.use(intel_);
  taps_.look_again();
  send(id, Done{});
}

void RequestLoop::answer(std::uint32_t id, const UsePolicy &request, Fds &) {
  if (!sink_.use(request)) {
    return send(id, Failed{"the policy is malformed"});
  }
  taps_.look_again();
  send(id, Done{});
}

void RequestLoop::answer(std::uint32_t id, const LookUp &request, Fds &) {
  if (intel_ == nullptr) {
    return send(id, Failed{"no intelligence is loaded"});
  }
  constexpr std::int64_t kSecond = 1'000'000'000;
  LookedUp answer;
  answer.explained =
      intel_->explain(request.value, wall_now().time_since_epoch().count() / kSecond);
  std::size_t bytes = 0;
  for (auto &one : std::exchange(answer.explained.indicators, {})) {
    one.sources.resize(std::min(one.sources.size(), MatchSeen::kMostSources));
    WireWriter writer;
    writer(one);
    bytes += writer.size();
    if (bytes > kRowsBytes / 2) { // one that matches is told twice
      break;
    }
    if (one.state == IndicatorState::Matches) {
      answer.hits.push_back(one.hit);
    }
    answer.explained.indicators.push_back(std::move(one));
  }
  send(id, std::move(answer));
}

void RequestLoop::answer(std::uint32_t id, const DescribeIntel &, Fds &) {
  if (intel_ == nullptr) {
    return send(id, Failed{"no intelligence is loaded"});
  }
  send(id, intel_->stats(wall_now().time_since_epoch() / std::chrono::seconds(1)));
}

void RequestLoop::answer(std::uint32_t id, const JudgeValue &, Fds &) {
  send(id, Failed{"this process guards a VM; feeds are compiled elsewhere"});
}

void RequestLoop::answer(std::uint32_t id, const AddFeed &, Fds &) {
  send(id, Failed{"this process guards a VM; feeds are compiled elsewhere"});
}

void RequestLoop::answer(std::uint32_t id, const CompileIntel &, Fds &) {
  send(id, Failed{"this process guards a VM; feeds are compiled elsewhere"});
}

} // namespace outguard::sensor
