#pragma once
// The taps of one guest: each its packet ring, the openings looked at before it, and the packet
// path behind it. Flows of two taps never mix; what is seen goes to the sink. One thread. Owns the
// rings.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <poll.h>

#include "base/clock.h"
#include "base/fd.h"
#include "facts/messages.h"
#include "guest/packets/live_source.h"
#include "guest/packets/opening_source.h"
#include "guest/packets/packet_pipeline.h"
#include "sensor/match_sink.h"

namespace outguard::sensor {

class Taps {
public:
  explicit Taps(MatchSink &sink) : sink_(sink) {}

  [[nodiscard]] guest::Result<void> open(Fd ring, Fd openings, const PacketRing &layout);
  [[nodiscard]] bool is_full() const;

  /// What to wait for: of every tap its ring, then of every tap its openings.
  void add_to(std::vector<pollfd> &items) const;
  /// What came of it. A tap opened meanwhile is not among them.
  void note_errors(std::span<const pollfd> items);

  /// What is called between two batches, as it cannot wait for all of them.
  void give_way(std::function<void()> others) { others_ = std::move(others); }
  /// A packet that no ring brings: it was stopped on its way to the tap.
  void take(const std::string &interface, const guest::PacketView &packet);

  /// Some batches of every tap; what is left waits for the next time.
  void pump();
  void expire_flows();
  /// Other intelligence is in force: pump() shows the sink every flow again, some at a time.
  void look_again();
  [[nodiscard]] bool has_work() const;
  /// A capture from beginning to end, as one more tap while it lasts. Tells how far it is behind
  /// every batch, and again when nothing comes any more.
  using Progress = std::function<void(std::uint64_t bytes, std::uint64_t packets)>;
  [[nodiscard]] ReplayDone replay(std::string name, Fd capture, guest::StageClock &clock,
                                  const Progress &progress);

  /// Where a reported flow's TCP stands now; nullopt: not known any more, or not TCP.
  [[nodiscard]] std::optional<TcpPosition> locate(const std::string &interface,
                                                  std::uint64_t flow_id) const;
  /// The flow of this tuple that had a packet last; of those that no tunnel carries.
  [[nodiscard]] std::optional<FlowSeen> find(const FlowTuple &tuple) const;
  /// The last packets that the rings still hold, of all taps in order of time, as pcapng; the
  /// oldest are left out where there is no room.
  [[nodiscard]] PacketsCopied copy_packets(std::span<std::uint8_t> out) const;
  /// Packets, flows and what the sink made of them.
  [[nodiscard]] CountersSeen count() const;
  [[nodiscard]] std::uint64_t errors() const { return errors_; }

private:
  struct Tap {
    std::string interface;
    std::unique_ptr<guest::LiveSource> source;
    std::unique_ptr<guest::OpeningSource> openings;
    std::unique_ptr<guest::PacketPipeline> pipeline;
    std::optional<std::uint32_t> look_from{}; ///< place of the flow to be looked at again next
    bool broken = false;                      ///< the ring failed (device gone): no longer polled
  };

  [[nodiscard]] Tap &add(std::string interface);
  /// What one VM's packets may hold is for all of its taps together.
  void share_memory();
  void look_at_openings();
  void look_at_flows(Tap &tap);
  void note_error(const Tap &tap);

  MatchSink &sink_;
  std::vector<Tap> taps_;
  std::function<void()> others_;
  MonotonicTime next_expiry_{};
  std::uint64_t errors_ = 0; ///< a tap's device was down
};

} // namespace outguard::sensor
