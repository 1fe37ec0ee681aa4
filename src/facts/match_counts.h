#pragma once
// How often what was reported came again: told once, when the flow or the knocking has ended. Never
// a new alert.

#include <cstdint>
#include <optional>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard {

struct MatchCount {
  IndicatorType type = IndicatorType::Address;
  GuestText value;         ///< empty: there was no room to keep it
  std::uint64_t count = 0; ///< the first included
  std::int64_t first_ns = 0, last_ns = 0;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.type, self.value, self.count, self.first_ns, self.last_ns);
  }
};

/// As Suricata's flow.reason.
enum class EndReason : std::uint8_t { Timeout, Forced, Shutdown, TcpReuse };
/// "timeout", "forced", "shutdown", "tcp_reuse".
[[nodiscard]] const char *to_string(EndReason reason);

/// Sent with id 0 when a flow that a MatchSeen was of has ended. Of a remote end that knocked,
/// `flow` is the one that its MatchSeen told of, as it stood then.
struct MatchedFlowEnded {
  FlowSeen flow;
  EndReason reason = EndReason::Timeout;
  bool closed = false; ///< TCP: by FIN of both or RST
  std::vector<MatchCount> matches;
  std::optional<Knocks> knocks;
  std::vector<ObservedText> observed; ///< from its first match on, each once, in the order seen
  bool observed_cut = false;          ///< there was more

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.flow, self.reason, self.closed, self.matches, self.knocks, self.observed,
         self.observed_cut);
  }
};

} // namespace outguard
