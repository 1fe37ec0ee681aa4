#include "sensor/match_sink.h"

#include <algorithm>

#include "base/clock.h"
#include "base/ip_address.h"
#include "guest/protocols/doh_resolvers.h"
#include "sensor/event_size.h"
#include "sensor/listed_match.h"

namespace outguard::sensor {

namespace {

bool has_ports(const FlowTuple &tuple) {
  return tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp) ||
         tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Udp);
}

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::int64_t kSettleInterval = 10'000'000; ///< how late an answer may be noticed

EndReason reason_of(guest::FlowEnd end) {
  switch (end) {
  case guest::FlowEnd::Evicted:
    return EndReason::Forced;
  case guest::FlowEnd::Replaced:
    return EndReason::TcpReuse;
  case guest::FlowEnd::Shutdown:
    return EndReason::Shutdown;
  case guest::FlowEnd::Idle:
  case guest::FlowEnd::Closed:
    break;
  }
  return EndReason::Timeout;
}

/// RFC 7858, RFC 9250.
bool is_dns_over_tls(const FlowTuple &tuple) {
  constexpr std::uint16_t kPort = 853;
  return has_ports(tuple) && tuple.remote.port == kPort;
}

/// Of the packet that shows what is matched, also in a capture of long ago.
intel::Seconds seconds_of(const guest::Flow &flow) {
  return flow.last_packet_ns / kNanoseconds;
}

bool names_a_process(const Attribution &attribution) {
  return !attribution.processes.empty();
}

} // namespace

MatchSink::MatchSink(GuestView &view, Outlet &outlet)
    : view_(view), outlet_(outlet), owners_(view), contacts_(guest::random_seed()),
      knocks_([this](MatchedFlowEnded ended) { outlet_.publish(std::move(ended)); }),
      policy_(owners_, [this](const auto &pipeline, const auto &flow, MatchSeen match) {
        publish_refused(pipeline, flow, std::move(match));
      }) {
  want_kinds();
}

void MatchSink::want_kinds() {
  auto kinds = kinds_wanted(intel_.get());
  if (policy_.judge().asks_for_names()) {
    kinds.add(ObservableKind::DnsName);
  }
  want(kinds);
}

bool MatchSink::use(const UsePolicy &policy) {
  const bool good = policy_.use(policy);
  want_kinds();
  return good;
}

MatchSink::Counts MatchSink::counts() const {
  Counts counts = counts_;
  counts.openings_used = owners_.openings_used();
  counts.openings_unused = owners_.openings_unused();
  return counts;
}

void MatchSink::use(std::shared_ptr<const intel::IntelSet> intel) {
  intel_ = std::move(intel);
  want_kinds();
  reported_.forget_numbers();
  files_.use(intel_);
}

void MatchSink::on_flow_started(guest::Flow &flow) {
  if (intel_ != nullptr) {
    intel_->prefetch_address(flow.tuple.remote.address); // while the owner is looked for
  }
  flow.user = owners_.open(*pipeline_, flow);
  if (const FlowNote *note = owners_.find(flow.user)) {
    ++(names_a_process(note->attribution) ? counts_.flows_attributed : counts_.flows_unattributed);
  }
  policy_.on_flow(*pipeline_, flow);
  if (intel_ == nullptr) {
    return;
  }
  note_file(flow);
  settle(flow.last_packet_ns);
  if (!began_outside(flow)) {
    return match_remote(*pipeline_, flow, Answer::Given);
  }
  bool is_listed = false;
  const auto note = [&](intel::IndicatorId) { is_listed = true; };
  intel_->match_address(flow.tuple.remote.address, seconds_of(flow), note);
  intel_->match_endpoint(flow.tuple.remote, seconds_of(flow), note);
  if (!is_listed) {
    return;
  }
  if (waiting_.size() >= kMostWaiting) {
    const auto [key, oldest] = *waiting_.begin();
    const bool answered = was_answered(*oldest);
    waiting_.erase(waiting_.begin());
    counts_.knocks_early += answered ? 0 : 1;
    match_remote(*key.first, *oldest, answered ? Answer::Given : Answer::None);
  }
  waiting_[{pipeline_, flow.id}] = &flow;
}

void MatchSink::match_remote(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                             Answer answer) {
  if (intel_ == nullptr) {
    return; // taken back since it began to wait
  }
  const auto &remote = flow.tuple.remote;
  const auto now = seconds_of(flow);
  intel_->match_address(remote.address, now, [&](intel::IndicatorId id) {
    report(pipeline, flow, id, ObservableKind::RemoteAddress, remote.address.to_string(), answer);
  });
  if (has_ports(flow.tuple)) {
    intel_->match_endpoint(remote, now, [&](intel::IndicatorId id) {
      report(pipeline, flow, id, ObservableKind::RemoteEndpoint, remote.to_string(), answer);
    });
  }
}

void MatchSink::look_again(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  policy_.on_flow(pipeline, flow);
  const bool waits = waiting_.count({&pipeline, flow.id}) != 0;
  if (!waits && (!began_outside(flow) || was_answered(flow))) {
    match_remote(pipeline, flow, Answer::GivenBefore);
  }
}

void MatchSink::settle(std::int64_t now_ns) {
  now_ns = std::max<std::int64_t>(now_ns, 0); // a capture may say anything
  if (now_ns >= settled_ns_ && now_ns - settled_ns_ < kSettleInterval) {
    return;
  }
  settled_ns_ = now_ns;
  knocks_.expire(now_ns);
  policy_.settle(now_ns);
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto [key, flow] = *next;
    const bool answered = was_answered(*flow);
    if (!answered && flow->tcp_state != guest::TcpState::Closed) {
      ++next;
      continue;
    }
    next = waiting_.erase(next);
    match_remote(*key.first, *flow, answered ? Answer::Given : Answer::None);
  }
}

void MatchSink::on_observable(guest::Flow &flow, const guest::Observable &observable) {
  const bool names_remote = observable.kind == ObservableKind::TlsServerName ||
                            observable.kind == ObservableKind::HttpHost;
  if (FlowNote *note = owners_.find(flow.user);
      note != nullptr && names_remote && observable.form == guest::HostForm::Name) {
    contacts_.on_named(flow, *note, observable.text);
    if (guest::is_doh_resolver(observable.text)) {
      note->blind |= static_cast<std::uint8_t>(Blindness::DnsOverHttps);
    }
  }
  if (observable.form == guest::HostForm::Name &&
      (names_remote || observable.kind == ObservableKind::DnsName)) {
    policy_.on_named(*pipeline_, flow, observable.text);
  }
  if (intel_ == nullptr) {
    return;
  }
  const auto tell = [&](intel::IndicatorId id) {
    report(*pipeline_, flow, id, observable.kind, observable.shown());
  };
  match_observed(*intel_, observable, seconds_of(flow), tell);
  if (flow.watched) {
    reported_.note_observed({pipeline_, flow.id}, observable.kind, observable.shown());
  }
}

void MatchSink::on_flow_ended(const guest::Flow &flow, guest::FlowEnd reason) {
  const ReportedFlows::Key key{pipeline_, flow.id};
  policy_.on_ended(*pipeline_, flow);
  if (waiting_.erase(key) != 0) {
    match_remote(*pipeline_, flow, was_answered(flow) ? Answer::Given : Answer::None);
  } else if (counts_.knocks_early != 0 && began_outside(flow)) {
    look_again(*pipeline_, flow); // it may have been counted as a knock, and let in afterwards
  }
  auto closed = reported_.close(key);
  tell_beacon(flow, closed.matches.empty() ? Listed::No : Listed::Yes);
  if (!closed.matches.empty()) {
    MatchedFlowEnded ended;
    ended.flow = describe(*pipeline_, flow);
    ended.reason = reason_of(reason);
    ended.closed = flow.tcp_state == guest::TcpState::Closed;
    ended.matches = std::move(closed.matches);
    ended.observed = std::move(closed.observed);
    ended.observed_cut = closed.cut;
    outlet_.publish(std::move(ended));
  }
  owners_.close(flow.user);
}

void MatchSink::tell_beacon(const guest::Flow &flow, Listed listed) {
  const FlowNote *note = owners_.find(flow.user);
  if (note == nullptr) {
    return;
  }
  if (auto score = contacts_.on_ended(flow, *note, listed)) {
    const auto now = seconds_of(flow);
    if (intel_ != nullptr && (intel_->allowed_by(flow.tuple.remote.address, now) ||
                              intel_->allowed_by(score->destination.raw(), now))) {
      ++counts_.allowed;
      return;
    }
    MatchSeen match;
    match.basis = MatchBasis::Beacon;
    match.flow = describe(*pipeline_, flow);
    match.attribution = note->attribution;
    match.beacon = std::move(score);
    fit_into_event(match.attribution);
    ++counts_.beacons;
    outlet_.publish(std::move(match));
  }
}

void MatchSink::note_file(const guest::Flow &flow) {
  const FlowNote *note = owners_.find(flow.user);
  if (!files_.lists_files() || note == nullptr || !names_a_process(note->attribution) ||
      note->attribution.of_carrier || !files_.wants(note->attribution.processes.front())) {
    return;
  }
  MatchSeen match;
  match.flow = describe(*pipeline_, flow);
  match.attribution = note->attribution;
  fit_into_event(match.attribution);
  if (!files_.add(std::move(match))) {
    ++counts_.files_passed_by;
  }
}

std::optional<MatchSeen> MatchSink::take_unhashed() {
  if (auto listed = files_.take()) {
    return listed;
  }
  const auto asked = policy_.take_unhashed();
  const FlowNote *note = asked ? owners_.find(asked->flow->user) : nullptr;
  if (note == nullptr) {
    return std::nullopt;
  }
  MatchSeen match;
  match.basis = MatchBasis::Policy;
  match.flow = describe(*asked->pipeline, *asked->flow);
  match.attribution = note->attribution;
  fit_into_event(match.attribution);
  return match;
}

/// The hash is of what the process runs now; of one that ran another program at its flow's first
/// packet the policy is told of none.
void MatchSink::tell_policy(const MatchSeen &of, const FileHash &hash) {
  guest::LinuxGuest *guest = view_.guest();
  if (!policy_.judge().in_force() || of.attribution.processes.empty() || guest == nullptr) {
    return;
  }
  auto now = of.attribution;
  guest->bring_up_to_date(now);
  const auto &process = now.processes.front();
  const bool is_its_own = hash.status == FileHash::Status::Complete && !process.earlier_exe;
  policy_.on_hashed(process, is_its_own ? &hash.sha256 : nullptr);
}

FileVerdict MatchSink::on_executable_hashed(const MatchSeen &of, const FileHash &hash) {
  tell_policy(of, hash);
  if (!files_.lists_files() || of.attribution.processes.empty()) {
    return FileVerdict::Unknown;
  }
  ++counts_.files_looked_at;
  auto [verdict, match] = files_.judge(of, hash);
  counts_.files_unknown += verdict == FileVerdict::Unknown ? 1 : 0;
  if (match && !files_.note_told(*match)) {
    ++counts_.repeats;
  } else if (match) {
    match->match_latency_ns = owners_.late_ns(of.flow.last_packet_ns);
    ++counts_.matches;
    outlet_.publish(std::move(*match));
  }
  return verdict;
}

FlowSeen MatchSink::describe(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  auto seen = pipeline.describe(flow);
  if (is_dns_over_tls(flow.tuple)) {
    seen.blind |= static_cast<std::uint8_t>(Blindness::DnsOverTls);
  }
  if (const FlowNote *note = owners_.find(flow.user)) {
    seen.blind |= note->blind;
  }
  return seen;
}

void MatchSink::report(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                       intel::IndicatorId indicator, ObservableKind kind, std::string_view observed,
                       Answer answer) {
  const ReportedFlows::Key key{&pipeline, flow.id};
  const auto number = static_cast<std::uint32_t>(indicator);
  const bool is_new = answer != Answer::GivenBefore; // else nothing was observed: nothing counts
  if (is_new && reported_.count_repeat(key, number, flow.last_packet_ns)) {
    ++counts_.repeats;
    return;
  }
  auto match = listed_match(*intel_, indicator);
  if (!match || (!is_new && reported_.has(key, match->indicator))) {
    return;
  }
  if (intel_->allowed_by_value(observed, seconds_of(flow))) {
    counts_.allowed += is_new ? 1 : 0;
    return;
  }
  match->indicator.observed = kind;
  match->indicator.observed_value = GuestText(std::string(observed));
  if (answer == Answer::None) {
    ++counts_.knocks;
    match->knocks = knocks_.add(describe(pipeline, flow), match->indicator);
    if (match->knocks) {
      publish(pipeline, flow, std::move(*match));
    }
    return;
  }
  switch (reported_.add(key, flow, number, match->indicator, flow.last_packet_ns)) {
  case ReportedFlows::Told::First:
    flow.watched = true;
    return publish(pipeline, flow, std::move(*match));
  case ReportedFlows::Told::Repeat:
    ++counts_.repeats;
    break;
  case ReportedFlows::Told::NoRoom:
    ++counts_.unreported;
    break;
  }
}

void MatchSink::publish_refused(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                                MatchSeen match) {
  const auto initiator = match.flow.initiator; // as it was judged
  match.flow = describe(pipeline, flow);
  match.flow.initiator = initiator;
  if (guest::LinuxGuest *guest = view_.guest(); guest != nullptr) {
    guest->bring_up_to_date(match.attribution); // as what it runs will be hashed
  }
  match.prevented = held_.was_refused(flow.tuple, match.policy->host.raw());
  fit_into_event(match.attribution);
  match.match_latency_ns = owners_.late_ns(flow.last_packet_ns);
  outlet_.publish(std::move(match));
}

void MatchSink::publish(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                        MatchSeen match) {
  match.flow = describe(pipeline, flow);
  match.attribution = owners_.owner_of(pipeline, flow);
  if (const FlowNote *note = owners_.find(flow.user)) {
    match.beacon = contacts_.score(flow, *note);
  }
  guest::LinuxGuest *guest = view_.guest();
  if (guest != nullptr && names_a_process(match.attribution)) {
    guest->bring_up_to_date(match.attribution); // as what it runs will be hashed
    match.attribution.serves_names = NameServers::is_name_resolution(match.flow) &&
                                     name_servers_.hold(match.attribution, *guest, monotonic_now());
  }
  match.prevented = held_.was_refused(flow.tuple, match.indicator.observed_value.raw());
  fit_into_event(match.attribution);
  match.match_latency_ns = owners_.late_ns(flow.last_packet_ns);
  ++counts_.matches;
  outlet_.publish(std::move(match));
}

} // namespace outguard::sensor
