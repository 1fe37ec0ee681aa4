#pragma once
// Stands at the end of the packet path: asks for a flow's owner at its first packet (before the
// ring brings it, where on_opening() was told of it), matches every observable, reports each (flow,
// indicator) once. One thread; owns neither guest nor outlet.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "facts/messages.h"
#include "guest/packets/packet_pipeline.h"
#include "intel/intel_image.h"
#include "sensor/flow_notes.h"
#include "sensor/guest_view.h"
#include "sensor/opening_notes.h"
#include "sensor/outlet.h"

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
  };

  MatchSink(GuestView &view, Outlet &outlet) : view_(view), outlet_(outlet) {}

  /// The pipeline whose flows come here; needed to describe them.
  void attach(guest::PacketPipeline &pipeline) { pipeline_ = &pipeline; }
  void use(std::shared_ptr<const intel::IntelImage> image) { image_ = std::move(image); }
  [[nodiscard]] const Counts &counts() const { return counts_; }
  /// The guest opens connections; the pipeline will bring the same packets later. Whoever needs a
  /// table of everything comes after those who do not.
  void on_openings(std::span<const guest::DecodedPacket> packets);

  /// A flow that was reported and has not ended; nullptr otherwise. Good until packets are
  /// processed.
  [[nodiscard]] const guest::Flow *find_reported(const guest::PacketPipeline &pipeline,
                                                 std::uint64_t flow_id) const;

  void on_flow_started(guest::Flow &flow) override;
  void on_observable(guest::Flow &flow, const guest::Observable &observable) override;
  void on_flow_ended(const guest::Flow &flow, guest::FlowEnd reason) override;

private:
  [[nodiscard]] Attribution ask_owner(const FlowTuple &tuple, std::int64_t packet_ns,
                                      std::int64_t began_ns);
  /// Asks for its owner, unless that is known; false: `at_once`, that cannot be told.
  bool answer_opening(const guest::DecodedPacket &packet, bool at_once);
  /// The note of what was answered at its opening, if that is known; else a new one.
  [[nodiscard]] std::uint64_t open_note(const guest::Flow &flow);
  void report(guest::Flow &flow, std::uint32_t indicator, ObservableKind kind,
              std::string_view observed);

  GuestView &view_;
  Outlet &outlet_;
  guest::PacketPipeline *pipeline_ = nullptr;
  std::shared_ptr<const intel::IntelImage> image_;
  FlowNotes notes_;
  OpeningNotes openings_;
  /// Flows stay where they are until they end. Only those with a match are here: few.
  std::map<std::pair<const guest::PacketPipeline *, std::uint64_t>, const guest::Flow *> reported_;
  Counts counts_;
};

} // namespace outguard::sensor
