#pragma once
// Stands at the end of the packet path: matches every observable, reports each (flow, indicator)
// once and whose the flow is (flow_owners.h) and, at the flow's end, how often. What began outside
// is reported when the guest has let it in; until then it only knocked. One thread; owns neither
// guest nor outlet.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "facts/messages.h"
#include "guest/packets/packet_pipeline.h"
#include "intel/intel_set.h"
#include "sensor/contact_watch.h"
#include "sensor/file_matches.h"
#include "sensor/flow_owners.h"
#include "sensor/guest_view.h"
#include "sensor/hold_notes.h"
#include "sensor/knock_table.h"
#include "sensor/name_servers.h"
#include "sensor/outlet.h"
#include "sensor/policy_flows.h"
#include "sensor/reported_flows.h"

namespace outguard::sensor {

class MatchSink : public guest::PipelineSink {
public:
  struct Counts {
    std::uint64_t flows_attributed = 0; ///< an owner was found at the first packet
    std::uint64_t flows_unattributed = 0;
    std::uint64_t openings_used = 0;   ///< owners asked for before the ring brought the packet
    std::uint64_t openings_unused = 0; ///< the ring did not bring it, or had brought it before
    std::uint64_t matches = 0;         ///< reported
    std::uint64_t repeats = 0;         ///< same flow and indicator again
    std::uint64_t unreported = 0;      ///< more indicators of one flow than are kept
    std::uint64_t allowed = 0;         ///< not reported: an allowlist covers what was observed
    std::uint64_t beacons = 0;         ///< reported
    std::uint64_t knocks = 0;          ///< flows from listed remote ends that nobody answered
    std::uint64_t knocks_early = 0;    ///< of those, counted before they had ended: too many waited
    std::uint64_t files_looked_at = 0; ///< of flows' processes, where intelligence lists files
    std::uint64_t files_unknown = 0;   ///< of those, not hashed: too large, not all in memory
    std::uint64_t files_passed_by = 0; ///< not looked at: too many flows waited for that
  };

  static constexpr std::size_t kMostWaiting = 1024; ///< flows from outside, for the guest's answer

  MatchSink(GuestView &view, Outlet &outlet);

  /// The pipeline whose flows come here; needed to describe them.
  void attach(guest::PacketPipeline &pipeline) { pipeline_ = &pipeline; }
  /// A replay, until called without: the memory is of another time than the packets, and says so.
  void replay_with(guest::StageClock *clock) { owners_.replay_with(clock); }
  /// What matches from now on. No reader takes a lock: the pointer is swapped between packets.
  void use(std::shared_ptr<const intel::IntelSet> intel);
  /// The VM's policy from now on; who calls then shows look_again() every flow. False: malformed,
  /// and what was in force stays.
  [[nodiscard]] bool use(const UsePolicy &policy);
  [[nodiscard]] const PolicyJudge &policy() const { return policy_.judge(); }
  [[nodiscard]] const PolicyFlows &policy_flows() const { return policy_; }
  [[nodiscard]] Counts counts() const;
  [[nodiscard]] const BeaconTable::Counts &contacts() const { return contacts_.counts(); }
  /// The guest opens connections; the pipeline will bring the same packets later. Whoever needs a
  /// table of everything comes after those who do not.
  void on_openings(std::span<const guest::DecodedPacket> packets) { owners_.on_openings(packets); }

  /// What was refused at the tap, for its matches to say so; for who judges there.
  [[nodiscard]] HoldNotes &held() { return held_; }
  [[nodiscard]] FlowOwners &owners() { return owners_; }

  /// A flow that was reported and has not ended; nullptr otherwise. Good until packets are
  /// processed.
  [[nodiscard]] const guest::Flow *find_reported(const guest::PacketPipeline &pipeline,
                                                 std::uint64_t flow_id) const {
    return reported_.find({&pipeline, flow_id});
  }

  /// A flow that was there before `use`: its remote end may be listed now, or the policy refuse it.
  /// What was observed in it is not kept, and not looked at.
  void look_again(const guest::PacketPipeline &pipeline, const guest::Flow &flow);

  /// Looks at those from outside that wait for an answer: at the wall clock's time, or that of the
  /// packets of a capture. Cheap to call often.
  void settle(std::int64_t now_ns);
  /// No packets come any more: what is left of the knocks is told.
  void finish() { knocks_.end_all(); }
  /// A flow whose process's executable is to be hashed, as files are listed or the policy asks:
  /// `on_executable_hashed` gets it back.
  [[nodiscard]] std::optional<MatchSeen> take_unhashed();
  [[nodiscard]] bool has_unhashed() const { return !files_.empty() || policy_.has_unhashed(); }
  /// The hash of the executable of the process that `of` names first. Listed: reported as a match
  /// of that flow, if it was not.
  FileVerdict on_executable_hashed(const MatchSeen &of, const FileHash &hash);

  void on_flow_started(guest::Flow &flow) override;
  void on_observable(guest::Flow &flow, const guest::Observable &observable) override;
  void on_flow_ended(const guest::Flow &flow, guest::FlowEnd reason) override;

private:
  enum class Answer : std::uint8_t { Given, GivenBefore, None };
  /// Matches the remote end; the answer of a flow that the guest began does not matter.
  void match_remote(const guest::PacketPipeline &pipeline, const guest::Flow &flow, Answer answer);
  void report(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
              intel::IndicatorId indicator, ObservableKind kind, std::string_view observed,
              Answer answer = Answer::Given);
  void publish(const guest::PacketPipeline &pipeline, const guest::Flow &flow, MatchSeen match);
  /// What the policy does not allow.
  void publish_refused(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                       MatchSeen match);
  void tell_policy(const MatchSeen &of, const FileHash &hash);
  void want_kinds();
  /// The flow as it stands, with what only the sink knows.
  [[nodiscard]] FlowSeen describe(const guest::PacketPipeline &pipeline, const guest::Flow &flow);
  void tell_beacon(const guest::Flow &flow, Listed listed);
  /// Keeps the flow for `take_unhashed` if its process may run a listed file.
  void note_file(const guest::Flow &flow);

  GuestView &view_;
  Outlet &outlet_;
  guest::PacketPipeline *pipeline_ = nullptr;
  std::shared_ptr<const intel::IntelSet> intel_;
  FlowOwners owners_;
  ReportedFlows reported_;
  ContactWatch contacts_;
  KnockTable knocks_;
  NameServers name_servers_;
  FileMatches files_;
  HoldNotes held_;
  PolicyFlows policy_;
  /// Flows stay where they are until they end.
  std::map<ReportedFlows::Key, const guest::Flow *> waiting_;
  std::int64_t settled_ns_ = 0;
  Counts counts_;
};

} // namespace outguard::sensor
