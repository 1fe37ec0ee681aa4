#include "sensor/hold_judge.h"

#include <algorithm>
#include <utility>

#include "guest/packets/decode.h"
#include "guest/protocols/inspector.h"
#include "sensor/listed_match.h"

namespace outguard::sensor {

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::uint16_t kDnsPort = 53;

/// Flows are few and short here: those that wait for a name.
guest::PipelineConfig names_config() {
  using std::chrono::seconds;
  guest::PipelineConfig config;
  config.flows.max_flows = HoldJudge::kMostWaiting;
  config.flows.timeouts = {seconds(10), seconds(30), seconds(1), seconds(10), seconds(5)};
  config.streams.total_bytes = 4U << 20;
  return config;
}

bool is(const FlowTuple &tuple, IpProtocol protocol) {
  return tuple.protocol == static_cast<std::uint8_t>(protocol);
}

bool may_carry_names(const FlowTuple &tuple) {
  return is(tuple, IpProtocol::Tcp) || is(tuple, IpProtocol::Udp);
}

bool names_the_remote(ObservableKind kind) {
  return kind == ObservableKind::TlsServerName || kind == ObservableKind::HttpHost ||
         kind == ObservableKind::ProxyTarget;
}

} // namespace

void HoldJudge::Counts::operator+=(const Counts &other) {
  judged += other.judged;
  allowed += other.allowed;
  refused += other.refused;
  once += other.once;
  followed += other.followed;
  dropped += other.dropped;
  unreadable += other.unreadable;
  ownerless += other.ownerless;
  nameless += other.nameless;
  names_crowded += other.names_crowded;
}

HoldJudge::HoldJudge(const PolicyJudge &policy, FlowOwners &owners, HoldNotes &notes)
    : policy_(policy), owners_(owners), notes_(notes), names_(names_config(), *this) {
  want(kinds_wanted(nullptr));
}

void HoldJudge::use(std::shared_ptr<const intel::IntelSet> intel) {
  intel_ = std::move(intel);
  want(kinds_wanted(intel_.get()));
  lists_names_ = false;
  for (const auto type : {IndicatorType::Domain, IndicatorType::Url, IndicatorType::UrlPath,
                          IndicatorType::Ja3, IndicatorType::Ja4, IndicatorType::Hassh}) {
    lists_names_ = lists_names_ || (intel_ != nullptr && intel_->lists(type));
  }
}

void HoldJudge::use(HoldRules rules, bool fail_open) {
  rules_ = std::move(rules);
  fail_open_ = fail_open;
}

HoldVerdict HoldJudge::follow() {
  ++counts_.judged;
  ++counts_.followed;
  return HoldVerdict::Follow;
}

std::optional<HoldVerdict> HoldJudge::judge(const guest::PacketView &frame) {
  ++counts_.judged;
  const auto packet = read(frame);
  if (!packet) {
    ++counts_.unreadable;
  }
  const auto verdict = packet       ? verdict_on(*packet, frame)
                       : fail_open_ ? HoldVerdict::Allow
                                    : HoldVerdict::Refuse;
  ++(!verdict                          ? counts_.dropped
     : *verdict == HoldVerdict::Allow  ? counts_.allowed
     : *verdict == HoldVerdict::Refuse ? counts_.refused
                                       : counts_.once);
  return verdict;
}

/// Of a first fragment, the flow that its ports say.
std::optional<HoldJudge::Packet> HoldJudge::read(const guest::PacketView &frame) const {
  guest::DecodedPacket outer;
  if (!frame.direction || guest::decode(frame, outer)) {
    return std::nullopt;
  }
  guest::DecodedPacket whole;
  const bool is_part = outer.is_fragment;
  if (is_part && guest::decode_joined(outer, outer.protocol, outer.payload, whole)) {
    return std::nullopt;
  }
  const auto &packet = is_part ? whole : outer;
  const bool outward = *frame.direction == FlowDirection::ToRemote;
  return Packet{{packet.protocol, outward ? packet.source : packet.destination,
                 outward ? packet.destination : packet.source},
                *frame.direction,
                frame.timestamp_ns,
                static_cast<std::uint32_t>(frame.bytes.size()),
                packet.protocol != static_cast<std::uint8_t>(IpProtocol::Tcp) ||
                    (packet.tcp_flags & guest::tcp_flag::kSyn) != 0};
}

std::optional<HoldVerdict> HoldJudge::verdict_on(const Packet &packet,
                                                 const guest::PacketView &frame) {
  if (rules_.is_protected(packet.tuple.remote.address)) {
    return HoldVerdict::Allow;
  }
  const auto by_policy =
      refuses_remote(packet) ? ByPolicy::Refuse : ask_policy(packet, std::nullopt);
  if (by_policy == ByPolicy::Refuse) {
    forget(packet.tuple);
    notes_.refuse_flow(packet.tuple);
    return HoldVerdict::Refuse;
  }
  const bool policy_waits = by_policy == ByPolicy::WaitForName;
  const bool wants_names =
      (lists_names_ || policy_waits) && (packet.opens || waiting_.contains(packet.tuple));
  if (wants_names && packet.direction == FlowDirection::ToRemote && may_carry_names(packet.tuple)) {
    return look_for_names(packet, frame, policy_waits);
  }
  notes_.allow_flow(packet.tuple);
  return HoldVerdict::Allow;
}

// ---- The remote end and the process ---------------------------------------------------

Refusal HoldJudge::refusal_of(intel::IndicatorId id, ObservableKind kind, std::string_view observed,
                              std::int64_t at_ns) const {
  const auto hit = intel_->hit(id);
  if (!hit || intel_->allowed_by_value(observed, at_ns / kNanoseconds)) {
    return Refusal::None;
  }
  return rules_.refusal_of(hit->type, hit->confidence, kind);
}

bool HoldJudge::refuses_remote(const Packet &packet) {
  if (intel_ == nullptr) {
    return false;
  }
  const auto &remote = packet.tuple.remote;
  const auto now = packet.at_ns / kNanoseconds;
  Refusal worst = Refusal::None;
  intel_->match_address(remote.address, now, [&](intel::IndicatorId id) {
    worst = std::max(worst, refusal_of(id, ObservableKind::RemoteAddress,
                                       remote.address.to_string(), packet.at_ns));
  });
  if (may_carry_names(packet.tuple)) { // the protocols with ports
    intel_->match_endpoint(remote, now, [&](intel::IndicatorId id) {
      worst = std::max(
          worst, refusal_of(id, ObservableKind::RemoteEndpoint, remote.to_string(), packet.at_ns));
    });
  }
  return worst != Refusal::None;
}

HoldJudge::ByPolicy HoldJudge::ask_policy(const Packet &packet,
                                          std::optional<std::string_view> host) {
  if (!policy_.in_force()) {
    return ByPolicy::Allow;
  }
  policy::FlowFacts facts;
  facts.tuple = packet.tuple;
  facts.initiator = packet.direction;
  const bool may_come =
      packet.direction == FlowDirection::ToRemote && may_carry_names(packet.tuple);
  facts.host = host || may_come ? host : std::string_view();
  Attribution nobody;
  nobody.status = AttributionStatus::Unavailable;
  const auto judge = [&](const std::optional<Attribution> &owner) {
    facts.attribution = owner ? &*owner : &nobody;
    return policy_.judge(facts);
  };
  auto owner = owners_.owner_at_once(packet.tuple, packet.at_ns);
  auto judged = judge(owner);
  if (!owner && (judged.verdict.missing & static_cast<std::uint8_t>(PolicyMissing::Process)) != 0) {
    owner = owners_.owner_in_new_table(packet.tuple, packet.at_ns);
    judged = owner ? judge(owner) : judged;
  }
  counts_.ownerless += owner ? 0U : 1U;
  if (judged.answer == PolicyAnswer::Allow) {
    return ByPolicy::Allow;
  }
  const bool name_counts =
      (judged.verdict.missing & static_cast<std::uint8_t>(PolicyMissing::Host)) != 0;
  if (judged.answer == PolicyAnswer::NotYetKnown && name_counts && !host && may_come) {
    return ByPolicy::WaitForName;
  }
  return judged.verdict.actions.has(PolicyAction::Block) ? ByPolicy::Refuse : ByPolicy::Allow;
}

// ---- Names ----------------------------------------------------------------------------

bool HoldJudge::wait_on(const Packet &packet) {
  const auto [place, is_new] = waiting_.try_emplace(packet.tuple);
  place->second.bytes += packet.bytes;
  if (++place->second.packets > kMostPackets || place->second.bytes > kMostBytes) {
    ++counts_.nameless;
    return false;
  }
  if (is_new) {
    in_order_.push_back(packet.tuple);
    if (in_order_.size() > kMostWaiting) {
      counts_.names_crowded += waiting_.erase(in_order_.front());
      in_order_.pop_front();
    }
  }
  return true;
}

/// A question of DNS says nothing of the next one: its flow stays held.
std::optional<HoldVerdict>
HoldJudge::look_for_names(const Packet &packet, const guest::PacketView &frame, bool policy_waits) {
  found_ = {};
  names_.process({&frame, 1});
  const bool refuses_flow = found_.refusal == Refusal::Flow;
  const bool asks_on = is(packet.tuple, IpProtocol::Udp) && packet.tuple.remote.port == kDnsPort;
  const bool over = !asks_on && (found_.named || !wait_on(packet));
  const bool by_policy = policy_waits && (over || !found_.host.empty()) &&
                         ask_policy(packet, found_.host) == ByPolicy::Refuse;
  if (refuses_flow || by_policy) {
    forget(packet.tuple);
    notes_.refuse_flow(packet.tuple);
    return HoldVerdict::Refuse;
  }
  notes_.allow_flow(packet.tuple);
  if (found_.refusal == Refusal::Packet) {
    notes_.refuse_packet(packet.tuple, found_.refused);
    return std::nullopt;
  }
  if (over) {
    forget(packet.tuple);
    return HoldVerdict::Allow;
  }
  return HoldVerdict::Once;
}

void HoldJudge::on_observable(guest::Flow &flow, const guest::Observable &observable) {
  if (flow.carrier.place != 0) {
    return; // inside a tunnel: another flow than the one that is held
  }
  found_.named = true;
  if (names_the_remote(observable.kind) && observable.form == guest::HostForm::Name) {
    found_.host = observable.text;
  }
  if (intel_ == nullptr) {
    return;
  }
  match_observed(*intel_, observable, flow.last_packet_ns / kNanoseconds,
                 [&](intel::IndicatorId id) {
                   const auto shown = observable.shown();
                   const auto refusal = refusal_of(id, observable.kind, shown, flow.last_packet_ns);
                   if (refusal > found_.refusal) {
                     found_.refusal = refusal;
                     found_.refused = shown;
                   }
                 });
}

} // namespace outguard::sensor
