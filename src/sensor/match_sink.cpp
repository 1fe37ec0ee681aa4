#include "sensor/match_sink.h"

#include <algorithm>

#include "base/clock.h"
#include "base/ip_address.h"
#include "guest/protocols/doh_resolvers.h"
#include "sensor/event_size.h"
#include "sensor/two_turns.h"

namespace outguard::sensor {

namespace {

constexpr std::uint64_t since_ns(std::int64_t now, std::int64_t then) {
  return now > then ? static_cast<std::uint64_t>(now - then) : 0;
}

std::int64_t now_ns() {
  return wall_now().time_since_epoch().count();
}

bool has_ports(const FlowTuple &tuple) {
  return tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp) ||
         tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Udp);
}

/// 0 where the sensor came later than the flow.
std::int64_t began_ns(const guest::Flow &flow) {
  const bool is_tcp = flow.tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp);
  return is_tcp && !flow.syn_seen ? 0 : flow.first_packet_ns;
}

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::size_t kMostHashesTold = 256; ///< a repeat of an older one is the detector's
constexpr std::string_view kHexDigits = "0123456789abcdef";
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

/// The indicator's part of a match.
std::optional<MatchSeen> listed(const intel::IntelSet &intel, intel::IndicatorId id) {
  auto hit = intel.hit(id);
  if (!hit) {
    return std::nullopt; // a damaged image: nothing true can be said
  }
  MatchSeen match;
  match.indicator = std::move(*hit);
  match.sources = intel.sources(id);
  match.source_count = static_cast<std::uint32_t>(match.sources.size());
  match.sources.resize(std::min(match.sources.size(), MatchSeen::kMostSources));
  return match;
}

/// Of the packet that shows what is matched, also in a capture of long ago.
intel::Seconds seconds_of(const guest::Flow &flow) {
  return flow.last_packet_ns / kNanoseconds;
}

/// The type of indicator that an observable which is no host is looked up as, if there is one.
std::optional<IndicatorType> fingerprint_type(ObservableKind kind) {
  switch (kind) {
  case ObservableKind::TlsJa3:
    return IndicatorType::Ja3;
  case ObservableKind::TlsJa4:
    return IndicatorType::Ja4;
  case ObservableKind::SshHassh:
  case ObservableKind::SshHasshServer:
    return IndicatorType::Hassh;
  case ObservableKind::CertificateSha1:
    return IndicatorType::CertificateSha1;
  case ObservableKind::CertificateSha256:
    return IndicatorType::CertificateSha256;
  default:
    return std::nullopt;
  }
}

std::string hex(std::span<const std::uint8_t> octets) {
  std::string digits;
  for (const auto octet : octets) {
    digits += {kHexDigits[octet >> 4], kHexDigits[octet & 15]};
  }
  return digits;
}

bool names_a_process(const Attribution &attribution) {
  return !attribution.processes.empty();
}

/// What is looked up, and the two names that contacts and resolvers are known by. A digest or URL
/// is made only where one of its type is listed.
guest::ObservableKinds kinds_wanted(const intel::IntelSet *intel) {
  using Kind = ObservableKind;
  guest::ObservableKinds kinds{Kind::TlsServerName, Kind::HttpHost};
  if (intel == nullptr) {
    return kinds;
  }
  for (const auto kind : {Kind::DnsName, Kind::DnsAnswerName, Kind::DnsAnswerAddress,
                          Kind::CertificateName, Kind::MailHost, Kind::ProxyTarget}) {
    kinds.add(kind);
  }
  if (intel->lists(IndicatorType::Url) || intel->lists(IndicatorType::UrlPath)) {
    kinds.add(Kind::HttpUrl);
  }
  for (const auto kind : {Kind::TlsJa3, Kind::TlsJa4, Kind::SshHassh, Kind::SshHasshServer,
                          Kind::CertificateSha1, Kind::CertificateSha256}) {
    if (intel->lists(*fingerprint_type(kind))) {
      kinds.add(kind);
    }
  }
  return kinds;
}

} // namespace

MatchSink::MatchSink(GuestView &view, Outlet &outlet)
    : view_(view), outlet_(outlet), contacts_(guest::random_seed()),
      knocks_([this](MatchedFlowEnded ended) { outlet_.publish(std::move(ended)); }) {
  want(kinds_wanted(nullptr));
}

void MatchSink::use(std::shared_ptr<const intel::IntelSet> intel) {
  intel_ = std::move(intel);
  want(kinds_wanted(intel_.get()));
  reported_.forget_numbers();
  unhashed_.forget();
}

std::uint64_t MatchSink::late_ns(std::int64_t packet_ns) const {
  return clock_ != nullptr ? 0 : since_ns(now_ns(), packet_ns);
}

Attribution MatchSink::ask_owner(const FlowTuple &tuple, std::int64_t packet_ns,
                                 std::int64_t began_ns) {
  const guest::StageScope scope(clock_, guest::Stage::Attribution);
  Attribution attribution;
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    attribution.status = AttributionStatus::Unavailable;
  } else if (has_ports(tuple)) {
    attribution = guest->attribute(tuple, WallTime{std::chrono::nanoseconds(packet_ns)},
                                   WallTime{std::chrono::nanoseconds(began_ns)});
  }
  attribution.latency_ns = late_ns(packet_ns);
  if (clock_ != nullptr && names_a_process(attribution)) {
    // Whoever has these addresses and ports when memory is read need not be who had them then.
    if (attribution.status == AttributionStatus::Exact) {
      attribution.status = AttributionStatus::Cached;
    }
    const auto read_ns = view_.memory_time().time_since_epoch().count();
    attribution.age_ns = since_ns(std::max(read_ns, packet_ns), std::min(read_ns, packet_ns));
  }
  return attribution;
}

Attribution MatchSink::ask_owner(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                                 std::int64_t packet_ns) {
  auto attribution = ask_owner(flow.tuple, packet_ns, began_ns(flow));
  const guest::Flow *carrier = pipeline.carrier_of(flow);
  if (carrier == nullptr || names_a_process(attribution)) {
    return attribution;
  }
  const FlowNote *note = notes_.find(carrier->user);
  if (note != nullptr && names_a_process(note->attribution)) {
    const auto latency = attribution.latency_ns;
    attribution = note->attribution;
    attribution.latency_ns = latency;
    attribution.of_carrier = true;
  }
  return attribution;
}

bool MatchSink::answer_opening(const guest::DecodedPacket &packet, bool at_once) {
  guest::LinuxGuest *guest = view_.guest();
  const Opening opening{{packet.protocol, packet.source, packet.destination}, packet.sequence};
  if (guest == nullptr || openings_.has(opening)) {
    return true;
  }
  const WallTime seen{std::chrono::nanoseconds(packet.timestamp_ns)};
  auto found = at_once ? guest->attribute_at_once(opening.tuple, seen, seen)
                       : std::optional(guest->attribute(opening.tuple, seen, seen));
  if (!found) {
    return false;
  }
  const std::uint64_t number = notes_.open();
  if (FlowNote *note = notes_.find(number)) {
    notes_.keep(*note, std::move(*found));
    openings_.keep(opening, {number, now_ns(), monotonic_now()});
  }
  return true;
}

void MatchSink::on_openings(std::span<const guest::DecodedPacket> packets) {
  in_two_turns(
      packets, [this](const auto &packet) { return answer_opening(packet, true); },
      [this](const auto &packet) { answer_opening(packet, false); });
  while (const auto surplus = openings_.take_surplus(monotonic_now())) {
    notes_.close(surplus->note);
    ++counts_.openings_unused;
  }
}

std::uint64_t MatchSink::open_note(const guest::Flow &flow) {
  if (flow.syn_seen && flow.initiator == FlowDirection::ToRemote) {
    if (const auto asked = openings_.take({flow.tuple, flow.first_sequence})) {
      notes_.find(asked->note)->attribution.latency_ns =
          since_ns(asked->answered_ns, flow.first_packet_ns);
      ++counts_.openings_used;
      return asked->note;
    }
  }
  const std::uint64_t number = notes_.open();
  if (FlowNote *note = notes_.find(number)) {
    notes_.keep(*note, ask_owner(*pipeline_, flow, flow.first_packet_ns));
  }
  return number;
}

void MatchSink::on_flow_started(guest::Flow &flow) {
  flow.user = open_note(flow);
  if (const FlowNote *note = notes_.find(flow.user)) {
    ++(names_a_process(note->attribution) ? counts_.flows_attributed : counts_.flows_unattributed);
  }
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
  if (FlowNote *note = notes_.find(flow.user);
      note != nullptr && names_remote && observable.form == guest::HostForm::Name) {
    contacts_.on_named(flow, *note, observable.text);
    if (guest::is_doh_resolver(observable.text)) {
      note->blind |= static_cast<std::uint8_t>(Blindness::DnsOverHttps);
    }
  }
  if (intel_ == nullptr) {
    return;
  }
  const auto tell = [&](intel::IndicatorId id) {
    report(*pipeline_, flow, id, observable.kind, observable.shown());
  };
  const auto now = seconds_of(flow);
  if (observable.kind == ObservableKind::HttpUrl) {
    intel_->match_url(observable.text, now, tell);
  } else if (const auto type = fingerprint_type(observable.kind)) {
    intel_->match_fingerprint(*type, observable.text, now, tell);
  } else if (observable.address != nullptr) {
    intel_->match_address(*observable.address, now, tell);
  } else if (observable.form == guest::HostForm::Address) {
    if (const auto address = IpAddress::parse(observable.text)) {
      intel_->match_address(*address, now, tell);
    }
  } else if (observable.form != guest::HostForm::NoHost) {
    intel_->match_domain(observable.text, now, tell);
  }
}

void MatchSink::on_flow_ended(const guest::Flow &flow, guest::FlowEnd reason) {
  const ReportedFlows::Key key{pipeline_, flow.id};
  if (waiting_.erase(key) != 0) {
    match_remote(*pipeline_, flow, was_answered(flow) ? Answer::Given : Answer::None);
  } else if (counts_.knocks_early != 0 && began_outside(flow)) {
    look_again(*pipeline_, flow); // it may have been counted as a knock, and let in afterwards
  }
  auto matches = reported_.close(key);
  tell_beacon(flow, matches.empty() ? Listed::No : Listed::Yes);
  if (!matches.empty()) {
    MatchedFlowEnded ended;
    ended.flow = describe(*pipeline_, flow);
    ended.reason = reason_of(reason);
    ended.closed = flow.tcp_state == guest::TcpState::Closed;
    ended.matches = std::move(matches);
    outlet_.publish(std::move(ended));
  }
  notes_.close(flow.user);
}

void MatchSink::tell_beacon(const guest::Flow &flow, Listed listed) {
  const FlowNote *note = notes_.find(flow.user);
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
    outlet_.publish(std::move(match));
  }
}

bool MatchSink::lists_files() const {
  return intel_ != nullptr &&
         (intel_->lists(IndicatorType::FileSha256) || intel_->lists(IndicatorType::FileSha1) ||
          intel_->lists(IndicatorType::FileMd5));
}

void MatchSink::note_file(const guest::Flow &flow) {
  if (!lists_files()) {
    return;
  }
  const FlowNote *note = notes_.find(flow.user);
  if (note == nullptr || !names_a_process(note->attribution) || note->attribution.of_carrier ||
      !unhashed_.wants(note->attribution.processes.front(), monotonic_now())) {
    return;
  }
  MatchSeen match;
  match.flow = describe(*pipeline_, flow);
  match.attribution = note->attribution;
  fit_into_event(match.attribution);
  if (!unhashed_.add(std::move(match))) {
    ++counts_.files_passed_by;
  }
}

std::optional<MatchSeen> MatchSink::listed_file(const FileHash &hash, std::int64_t now) const {
  std::optional<MatchSeen> match;
  const auto look = [&](IndicatorType type, std::span<const std::uint8_t> digest) {
    const auto text = hex(digest);
    intel_->match_fingerprint(type, text, now, [&](intel::IndicatorId indicator) {
      if (!match && (match = listed(*intel_, indicator))) {
        match->indicator.observed = ObservableKind::ExecutableHash;
        match->indicator.observed_value = GuestText(text);
      }
    });
  };
  look(IndicatorType::FileSha256, hash.sha256);
  if (hash.sha1) {
    look(IndicatorType::FileSha1, *hash.sha1);
  }
  if (hash.md5) {
    look(IndicatorType::FileMd5, *hash.md5);
  }
  return match;
}

FileVerdict MatchSink::on_executable_hashed(const MatchSeen &of, const FileHash &hash) {
  if (!lists_files() || of.attribution.processes.empty()) {
    return FileVerdict::Unknown;
  }
  ++counts_.files_looked_at;
  const bool is_hashed = hash.status == FileHash::Status::Complete;
  auto match = is_hashed ? listed_file(hash, of.flow.last_packet_ns / kNanoseconds) : std::nullopt;
  const auto verdict = match       ? FileVerdict::Listed
                       : is_hashed ? FileVerdict::NotListed
                                   : FileVerdict::Unknown;
  counts_.files_unknown += is_hashed ? 0 : 1;
  unhashed_.settle(of.attribution.processes.front(), verdict, monotonic_now());
  if (match && first_of_hash(of.flow, match->indicator.value)) {
    match->flow = of.flow;
    match->attribution = of.attribution;
    match->beacon = of.beacon;
    match->match_latency_ns = late_ns(of.flow.last_packet_ns);
    ++counts_.matches;
    outlet_.publish(std::move(*match));
  }
  return verdict;
}

/// A flow that several indicators match has its process's executable hashed for each of them.
bool MatchSink::first_of_hash(const FlowSeen &flow, const GuestText &digest) {
  HashTold told{flow.interface, flow.flow_id, digest};
  if (std::find(hashes_told_.begin(), hashes_told_.end(), told) != hashes_told_.end()) {
    ++counts_.repeats;
    return false;
  }
  if (hashes_told_.size() >= kMostHashesTold) {
    hashes_told_.pop_front();
  }
  hashes_told_.push_back(std::move(told));
  return true;
}

FlowSeen MatchSink::describe(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  auto seen = pipeline.describe(flow);
  if (is_dns_over_tls(flow.tuple)) {
    seen.blind |= static_cast<std::uint8_t>(Blindness::DnsOverTls);
  }
  if (const FlowNote *note = notes_.find(flow.user)) {
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
  auto match = listed(*intel_, indicator);
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
    return publish(pipeline, flow, std::move(*match));
  case ReportedFlows::Told::Repeat:
    ++counts_.repeats;
    break;
  case ReportedFlows::Told::NoRoom:
    ++counts_.unreported;
    break;
  }
}

void MatchSink::publish(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                        MatchSeen match) {
  match.flow = describe(pipeline, flow);
  FlowNote *note = notes_.find(flow.user);
  // The guest may have been unreadable, or the socket not in its tables yet, at the first packet.
  if (note == nullptr || !names_a_process(note->attribution)) {
    match.attribution = ask_owner(pipeline, flow, flow.last_packet_ns);
    if (note != nullptr) {
      notes_.keep(*note, match.attribution);
    }
  } else {
    match.attribution = note->attribution;
  }
  if (note != nullptr) {
    match.beacon = contacts_.score(flow, *note);
  }
  guest::LinuxGuest *guest = view_.guest();
  if (guest != nullptr && names_a_process(match.attribution)) {
    guest->bring_up_to_date(match.attribution); // as what it runs will be hashed
    match.attribution.serves_names = NameServers::is_name_resolution(match.flow) &&
                                     name_servers_.hold(match.attribution, *guest, monotonic_now());
  }
  fit_into_event(match.attribution);
  match.match_latency_ns = late_ns(flow.last_packet_ns);
  ++counts_.matches;
  outlet_.publish(std::move(match));
}

} // namespace outguard::sensor
