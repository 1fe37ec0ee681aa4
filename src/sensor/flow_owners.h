#pragma once
// Whose each flow is: asked of the guest at the flow's first packet (before the ring brings it,
// where on_openings() was told of it), and kept with what else is noted of the flow. Owned by the
// MatchSink, one thread; owns no guest.

#include <cstdint>
#include <optional>
#include <span>

#include "guest/packets/packet_pipeline.h"
#include "sensor/flow_notes.h"
#include "sensor/guest_view.h"
#include "sensor/opening_notes.h"
#include "sensor/time_share.h"

namespace outguard::sensor {

class FlowOwners {
public:
  explicit FlowOwners(GuestView &view) : view_(view) {}

  /// As MatchSink::replay_with().
  void replay_with(guest::StageClock *clock) { clock_ = clock; }
  /// From a packet's time to now; 0 in a replay, where nothing is late.
  [[nodiscard]] std::uint64_t late_ns(std::int64_t packet_ns) const;

  void on_openings(std::span<const guest::DecodedPacket> packets);
  /// The note of what was answered at its opening, if that is known; else a new one. To be kept in
  /// Flow::user; 0: no room.
  [[nodiscard]] std::uint64_t open(const guest::PacketPipeline &pipeline, const guest::Flow &flow);
  /// Whose it is, for a packet that is held meanwhile: nobody is waited for. nullopt: it would take
  /// a new table of everything.
  [[nodiscard]] std::optional<Attribution> owner_at_once(const FlowTuple &tuple,
                                                         std::int64_t packet_ns);
  /// By a new table of everything, as far as there is time for that. nullopt: there is none now.
  [[nodiscard]] std::optional<Attribution> owner_in_new_table(const FlowTuple &tuple,
                                                              std::int64_t packet_ns);
  [[nodiscard]] FlowNote *find(std::uint64_t number) { return notes_.find(number); }
  void close(std::uint64_t number) { notes_.close(number); }
  /// As noted; asked once more where nobody was found.
  [[nodiscard]] Attribution owner_of(const guest::PacketPipeline &pipeline,
                                     const guest::Flow &flow);

  /// A TCP connection that was there before the sensor: begun outside if somebody in the guest
  /// waits for such. Else by its first packet.
  [[nodiscard]] FlowDirection initiator_of(const guest::Flow &flow);

  /// Owners asked for before the ring brought the packet; in vain.
  [[nodiscard]] std::uint64_t openings_used() const { return used_; }
  [[nodiscard]] std::uint64_t openings_unused() const { return unused_; }

private:
  [[nodiscard]] Attribution ask(const FlowTuple &tuple, std::int64_t packet_ns,
                                std::int64_t began_ns);
  /// Of the flow's own socket; where the guest has none, as it only carries the flow in a tunnel or
  /// the tunnel's end has it, of the flow that it came in.
  [[nodiscard]] Attribution ask(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                                std::int64_t packet_ns);
  /// Asks for its owner, unless that is known; false: `at_once`, that cannot be told.
  bool answer_opening(const guest::DecodedPacket &packet, bool at_once);

  GuestView &view_;
  FlowNotes notes_;
  OpeningNotes openings_;
  TimeShare for_new_tables_;           ///< while packets are held
  guest::StageClock *clock_ = nullptr; ///< in a replay only
  std::uint64_t used_ = 0;
  std::uint64_t unused_ = 0;
};

} // namespace outguard::sensor
