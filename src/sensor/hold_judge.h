#pragma once
// Judges packets that are held at a tap (facts/hold.h) before they leave: what the policy would
// have blocked by the remote end, by a name in the first data, or for whose the flow is, is
// refused. A flow whose names are asked for stays held for its first packets, and no longer. Sends
// and reads nothing itself. One thread.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "facts/hold.h"
#include "facts/hold_rules.h"
#include "guest/packets/packet_pipeline.h"
#include "intel/intel_set.h"
#include "sensor/flow_owners.h"
#include "sensor/hold_notes.h"
#include "sensor/policy_judge.h"

namespace outguard::sensor {

class HoldJudge : private guest::PipelineSink {
public:
  struct Counts {
    std::uint64_t judged = 0; ///< allowed + refused + once + followed + dropped
    std::uint64_t allowed = 0, refused = 0, once = 0, followed = 0;
    std::uint64_t dropped = 0;       ///< one packet, of a flow that is not refused
    std::uint64_t unreadable = 0;    ///< of the judged: no telling which flow it is of
    std::uint64_t ownerless = 0;     ///< asked, and not to be known at once
    std::uint64_t nameless = 0;      ///< flows let go since no name came in their first packets
    std::uint64_t names_crowded = 0; ///< flows whose names were not waited for: too many did

    void operator+=(const Counts &other);
  };

  static constexpr std::size_t kMostWaiting = 4096; ///< flows, for a name; the oldest go
  static constexpr unsigned kMostPackets = 16;      ///< of one flow, from the guest
  static constexpr std::uint32_t kMostBytes = 32 * 1024;

  /// `policy` may change between two packets.
  HoldJudge(const PolicyJudge &policy, FlowOwners &owners, HoldNotes &notes);

  void use(std::shared_ptr<const intel::IntelSet> intel);
  /// `fail_open`: what becomes of packets that nobody can read.
  void use(HoldRules rules, bool fail_open);

  /// nullopt: it is not to be answered, so that it alone goes nowhere.
  [[nodiscard]] std::optional<HoldVerdict> judge(const guest::PacketView &frame);
  /// The answer to a packet that says nothing of its flow.
  [[nodiscard]] HoldVerdict follow();
  /// Call about once a second.
  void expire(std::int64_t now_ns) { names_.expire(now_ns); }
  [[nodiscard]] const Counts &counts() const { return counts_; }

private:
  struct Waiting {
    unsigned packets = 0;
    std::uint32_t bytes = 0;
  };
  struct Packet {
    FlowTuple tuple;
    FlowDirection direction = FlowDirection::ToRemote;
    std::int64_t at_ns = 0;
    std::uint32_t bytes = 0;
    bool opens = true; ///< may begin a flow: all but TCP without SYN
  };

  [[nodiscard]] std::optional<Packet> read(const guest::PacketView &frame) const;
  [[nodiscard]] std::optional<HoldVerdict> verdict_on(const Packet &packet,
                                                      const guest::PacketView &frame);
  [[nodiscard]] bool refuses_remote(const Packet &packet);
  [[nodiscard]] Refusal refusal_of(intel::IndicatorId id, ObservableKind kind,
                                   std::string_view observed, std::int64_t at_ns) const;
  enum class ByPolicy : std::uint8_t { Allow, WaitForName, Refuse };
  [[nodiscard]] ByPolicy ask_policy(const Packet &packet, std::optional<std::string_view> host);
  [[nodiscard]] std::optional<HoldVerdict>
  look_for_names(const Packet &packet, const guest::PacketView &frame, bool policy_waits);
  /// False: no room is left for it, or it had its share.
  [[nodiscard]] bool wait_on(const Packet &packet);
  void forget(const FlowTuple &flow) { waiting_.erase(flow); }

  void on_flow_started(guest::Flow &) override {}
  void on_observable(guest::Flow &flow, const guest::Observable &observable) override;
  void on_flow_ended(const guest::Flow &, guest::FlowEnd) override {}

  const PolicyJudge &policy_;
  FlowOwners &owners_;
  HoldNotes &notes_;
  std::shared_ptr<const intel::IntelSet> intel_;
  bool lists_names_ = false;
  HoldRules rules_;
  bool fail_open_ = true;
  guest::PacketPipeline names_;
  std::map<FlowTuple, Waiting> waiting_;
  std::deque<FlowTuple> in_order_; ///< oldest first, also those that no longer wait
  /// What the packet at hand showed.
  struct Found {
    Refusal refusal = Refusal::None;
    std::string refused; ///< as it was observed
    bool named = false;
    std::string host;
  } found_;
  Counts counts_;
};

} // namespace outguard::sensor
