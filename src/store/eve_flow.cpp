#include "store/eve_flow.h"

#include <algorithm>

#include "base/clock.h"
#include "store/match_json.h"

namespace outguard::store {

namespace {

WallTime wall(std::int64_t nanoseconds) {
  return WallTime(std::chrono::nanoseconds(nanoseconds));
}

/// As Suricata: the flow's own words for where it stood, whoever closed it.
const char *state(const MatchedFlowEnded &ended) {
  if (ended.closed) {
    return "closed";
  }
  const FlowSeen &flow = ended.flow;
  return flow.packets_to_guest > 0 && flow.packets_to_remote > 0 ? "established" : "new";
}

Json counters(const MatchedFlowEnded &ended) {
  const auto start_ns = std::max<std::int64_t>(ended.flow.first_packet_ns, 0);
  const auto last_ns = std::max(start_ns, ended.flow.last_packet_ns);
  auto flow = counts_json(ended.flow);
  flow["end"] = eve_timestamp(wall(last_ns));
  flow["age"] = (last_ns - start_ns) / 1'000'000'000;
  flow["state"] = state(ended);
  flow["reason"] = to_string(ended.reason);
  flow["alerted"] = true;
  return flow;
}

Json matches(const std::vector<MatchCount> &counts) {
  auto list = Json::array();
  for (const auto &match : counts) {
    list.push_back({{"value", text_or_null(match.value)},
                    {"type", to_string(match.type)},
                    {"count", match.count},
                    {"first", rfc3339_timestamp(wall(match.first_ns))},
                    {"last", rfc3339_timestamp(wall(match.last_ns))}});
  }
  return list;
}

/// {"tls-sni":["..."],...}: by kind, in the order seen.
Json observed(const std::vector<ObservedText> &texts) {
  auto kinds = Json::object();
  for (const auto &seen : texts) {
    kinds[to_string(seen.kind)].push_back(text(seen.value));
  }
  return kinds;
}

} // namespace

std::string eve_flow(const MatchedFlowEnded &ended, const VmIdentity &vm) {
  Json event;
  const auto last_ns = ended.knocks ? ended.knocks->last_ns : ended.flow.last_packet_ns;
  event["timestamp"] = eve_timestamp(wall(std::max(ended.flow.first_packet_ns, last_ns)));
  add_flow(event, ended.flow, "flow");
  event["flow"] = counters(ended);
  event["vm"] = vm_json(vm);
  event["matches"] = matches(ended.matches);
  event["observed"] = observed(ended.observed);
  event["observed_cut"] = ended.observed_cut;
  if (ended.knocks) {
    event["knocks"] = knocks_json(*ended.knocks);
  }
  return line(event);
}

} // namespace outguard::store
