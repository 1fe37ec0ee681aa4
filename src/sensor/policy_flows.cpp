#include "sensor/policy_flows.h"

#include <algorithm>
#include <iterator>

#include "policy/condition.h"
#include "sensor/knock_table.h"

namespace outguard::sensor {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

bool has(std::uint8_t bits, PolicyMissing one) {
  return (bits & static_cast<std::uint8_t>(one)) != 0;
}

void add(std::uint8_t &bits, PolicyMissing one) {
  bits = static_cast<std::uint8_t>(bits | static_cast<std::uint8_t>(one));
}

bool is_closed(const guest::Flow &flow) {
  return flow.tcp_state == guest::TcpState::Closed;
}

FlowDirection initiator_of(const guest::Flow &flow, const FlowNote *note) {
  return note == nullptr ? flow.initiator : note->initiator.value_or(flow.initiator);
}

/// Names come from who began, in the first bytes; what cannot be read may still hold one.
bool is_nameless(const guest::Flow &flow, FlowDirection initiator) {
  const auto protocol = static_cast<IpProtocol>(flow.tuple.protocol);
  if (protocol != IpProtocol::Tcp && protocol != IpProtocol::Udp) {
    return true;
  }
  const bool is_hidden = (flow.blind & static_cast<std::uint8_t>(Blindness::Unreadable)) != 0;
  return is_closed(flow) || (flow.side(initiator).inspected && !is_hidden);
}

bool was_let_in(const guest::Flow &flow, FlowDirection initiator) {
  return (initiator == FlowDirection::ToRemote && !began_outside(flow)) || was_answered(flow);
}

/// Never 0.
std::uint32_t hash_of(const std::string &rule) {
  return static_cast<std::uint32_t>(std::hash<std::string>{}(rule)) | 1U;
}

} // namespace

bool PolicyFlows::use(const UsePolicy &request) {
  if (!judge_.use(request)) {
    return false;
  }
  waiting_.clear();
  unhashed_ = 0;
  return true;
}

PolicyFlows::Waiting PolicyFlows::patient(const guest::Flow &flow) {
  now_ns_ = std::max(now_ns_, flow.last_packet_ns);
  Waiting waiting;
  waiting.flow = &flow;
  waiting.until_ns = now_ns_ + kPatience;
  return waiting;
}

void PolicyFlows::on_flow(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  if (!judge_.in_force()) {
    return;
  }
  Waiting waiting = patient(flow);
  if (FlowNote *note = owners_.find(flow.user)) {
    if (note->judged == judge_.generation()) {
      return;
    }
    note->judged = judge_.generation();
    note->refused = 0;
    note->initiator = owners_.initiator_of(flow);
    waiting.ask_owner_ns = policy::has_ports(flow.tuple.protocol) ? now_ns_ + kOwnerPatience : 0;
  }
  const Key key{&pipeline, flow.id};
  if (!look(key, waiting, Ends::Later)) {
    wait(key, std::move(waiting));
  }
}

void PolicyFlows::on_named(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                           std::string_view name) {
  if (!judge_.in_force() || !judge_.asks_for_names()) {
    return;
  }
  const Key key{&pipeline, flow.id};
  const auto place = waiting_.find(key);
  if (place != waiting_.end() && !place->second.host) {
    place->second.host = name;
    if (look(key, place->second, Ends::Later)) {
      end(place);
    }
    return;
  }
  Waiting waiting = patient(flow);
  if (place != waiting_.end()) { // it waits with another name
    static_cast<void>(look(key, place->second, Ends::Now));
    end(place);
  }
  waiting.host = name;
  if (!look(key, waiting, Ends::Later)) {
    wait(key, std::move(waiting));
  }
}

void PolicyFlows::on_ended(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  if (waiting_.empty()) {
    return;
  }
  const Key key{&pipeline, flow.id};
  if (const auto place = waiting_.find(key); place != waiting_.end()) {
    if (!place->second.host) {
      place->second.host = ""; // none came
    }
    static_cast<void>(look(key, place->second, Ends::Now));
    end(place);
  }
}

void PolicyFlows::settle(std::int64_t now_ns) {
  now_ns_ = now_ns;
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto place = next++;
    auto &[key, waiting] = *place;
    if (!is_due(waiting)) {
      continue;
    }
    if (waiting.ask_owner_ns != 0 && now_ns_ >= waiting.ask_owner_ns) {
      waiting.ask_owner_ns = 0;
      static_cast<void>(owners_.owner_of(*key.first, *waiting.flow)); // noted, if it is found
    }
    if (look(key, waiting, Ends::Later)) {
      end(place);
    }
  }
}

bool PolicyFlows::is_due(const Waiting &waiting) const {
  const guest::Flow &flow = *waiting.flow;
  const auto initiator = initiator_of(flow, owners_.find(flow.user));
  if (now_ns_ >= waiting.until_ns || is_closed(flow)) {
    return true;
  }
  if (waiting.missing == 0) {
    return was_let_in(flow, initiator);
  }
  return (has(waiting.missing, PolicyMissing::Host) && is_nameless(flow, initiator)) ||
         (has(waiting.missing, PolicyMissing::Process) && now_ns_ >= waiting.ask_owner_ns);
}

std::uint8_t PolicyFlows::may_come(const Waiting &waiting, const policy::FlowFacts &facts) const {
  std::uint8_t bits = 0;
  if (!facts.host) {
    add(bits, PolicyMissing::Host);
  }
  if (waiting.ask_owner_ns != 0) {
    add(bits, PolicyMissing::Process);
  }
  if (!waiting.sha256 && !waiting.unhashable) {
    add(bits, PolicyMissing::Hash);
  }
  return bits;
}

bool PolicyFlows::look(const Key &key, Waiting &waiting, Ends ends) {
  const guest::Flow &flow = *waiting.flow;
  const FlowNote *note = owners_.find(flow.user);
  const Attribution asked = note == nullptr ? owners_.owner_of(*key.first, flow) : Attribution();
  policy::FlowFacts facts{flow.tuple, initiator_of(flow, note),
                          note == nullptr ? &asked : &note->attribution,
                          waiting.sha256 ? &*waiting.sha256 : nullptr};
  if (waiting.host) {
    facts.host = *waiting.host;
  } else if (is_nameless(flow, facts.initiator)) {
    facts.host = std::string_view();
  }
  const auto [answer, verdict] = judge_.judge(facts);
  if (answer == PolicyAnswer::Allow) {
    ++counts_.allowed;
    return true;
  }
  const bool answered = was_let_in(flow, facts.initiator);
  const bool is_last = ends == Ends::Now || note == nullptr || now_ns_ >= waiting.until_ns;
  waiting.missing = answer == PolicyAnswer::NotYetKnown
                        ? static_cast<std::uint8_t>(verdict.missing & may_come(waiting, facts))
                        : 0;
  if (!is_last && (waiting.missing != 0 || (!answered && !is_closed(flow)))) {
    note_unhashed(waiting, has(waiting.missing, PolicyMissing::Hash));
    return false;
  }
  ++(answer == PolicyAnswer::Refuse ? counts_.refused : counts_.undecided);
  if (!verdict.actions.allow()) {
    tell(key, flow, facts, verdict, answered);
  }
  return true;
}

void PolicyFlows::wait(const Key &key, Waiting waiting) {
  if (waiting_.size() >= kMostWaiting) {
    const auto oldest = waiting_.begin();
    ++counts_.hurried;
    static_cast<void>(look(oldest->first, oldest->second, Ends::Now));
    end(oldest);
  }
  waiting_.insert_or_assign(key, std::move(waiting));
}

void PolicyFlows::end(std::map<Key, Waiting>::iterator place) {
  note_unhashed(place->second, false);
  waiting_.erase(place);
}

void PolicyFlows::tell(const Key &key, const guest::Flow &flow, const policy::FlowFacts &facts,
                       const policy::Verdict &verdict, bool answered) {
  auto policy = judge_.describe(facts, verdict);
  const auto rule = hash_of(policy.rule);
  if (FlowNote *note = owners_.find(flow.user)) {
    if (note->refused == rule) {
      return; // this flow, by another name
    }
    note->refused = rule;
  }
  policy.answered = answered;
  const auto &holders = facts.attribution->processes;
  PolicyRepeats::Key counted{{}, policy.rule, answered};
  if (!answered) {
    policy.accused.clear(); // nobody in the guest has done anything
  } else if (!policy.accused.empty()) {
    counted.process = policy.accused.front();
  } else if (!holders.empty()) {
    counted.process = holders.front().identity;
  }
  const auto told = repeats_.add(counted, flow.tuple.remote.address, now_ns_);
  policy.flows = told.flows;
  policy.repeat = told.repeat;
  if (told.repeat) {
    ++counts_.repeats;
    if (!answered || policy.actions == PolicyActions(PolicyAction::Alert)) {
      return;
    }
    if (!take_repeat()) {
      ++counts_.unenforced;
      return;
    }
  }
  MatchSeen match;
  match.basis = MatchBasis::Policy;
  match.flow.initiator = facts.initiator;
  match.attribution = *facts.attribution;
  match.policy = std::move(policy);
  publish_(*key.first, flow, std::move(match));
}

bool PolicyFlows::take_repeat() {
  if (const auto second = now_ns_ / kSecond; second != second_) {
    second_ = second;
    spent_ = 0;
  }
  return spent_++ < kMostRepeats;
}

// ---- Hashes

void PolicyFlows::note_unhashed(Waiting &waiting, bool is_unhashed) {
  if (waiting.unhashed != is_unhashed) {
    waiting.unhashed = is_unhashed;
    is_unhashed ? ++unhashed_ : --unhashed_;
  }
}

std::optional<PolicyFlows::Unhashed> PolicyFlows::take_unhashed() {
  if (unhashed_ == 0) {
    return std::nullopt;
  }
  for (auto &[key, waiting] : waiting_) {
    if (waiting.unhashed) {
      note_unhashed(waiting, false);
      return Unhashed{key.first, waiting.flow};
    }
  }
  return std::nullopt;
}

void PolicyFlows::on_hashed(const ProcessSeen &process, const policy::Sha256 *hash) {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto place = next++;
    auto &[key, waiting] = *place;
    const FlowNote *note = owners_.find(waiting.flow->user);
    if (!has(waiting.missing, PolicyMissing::Hash) || note == nullptr ||
        note->attribution.processes.empty() ||
        note->attribution.processes.front().identity != process.identity) {
      continue;
    }
    waiting.unhashable = hash == nullptr;
    if (hash != nullptr) {
      waiting.sha256 = *hash;
    }
    note_unhashed(waiting, false);
    if (look(key, waiting, Ends::Later)) {
      end(place);
    }
  }
}

} // namespace outguard::sensor
