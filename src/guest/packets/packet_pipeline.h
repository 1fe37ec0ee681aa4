#pragma once
// The whole packet path of one VM: source -> decode -> fragments joined, tunnels opened -> flow
// table -> reassembly -> protocols -> sink. Bounded in memory by its configuration, no heap per
// packet. The sensor owns one per tap or file; the sink and every call belong to one thread.
// Checksums are never verified: on a tap they are unfilled.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/drop_reason.h"
#include "guest/packets/flow.h"
#include "guest/packets/flow_table.h"
#include "guest/packets/fragment_assembler.h"
#include "guest/packets/packet_source.h"
#include "guest/packets/pipeline_counters.h"
#include "guest/packets/stage_clock.h"
#include "guest/packets/stream_assembler.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

/// Called while a packet is processed. May change flow.user and nothing else of the flow.
class PipelineSink {
public:
  virtual ~PipelineSink() = default;
  /// First packet of a flow: tuple, MACs, VLANs and initiator are known, so the remote address and
  /// endpoint can be matched and the owner looked up right here.
  virtual void on_flow_started(Flow &flow) = 0;
  /// flow.last_packet_ns is the time stamp of the packet that completed the observable.
  virtual void on_observable(Flow &flow, const Observable &observable) = 0;
  /// The last call for this flow: release what `user` stands for.
  virtual void on_flow_ended(const Flow &flow, FlowEnd reason) = 0;
  /// The kinds that on_observable() is called for. What was passed over while nobody wanted it does
  /// not come later.
  [[nodiscard]] ObservableKinds wanted() const { return wanted_; }

protected:
  void want(ObservableKinds kinds) { wanted_ = kinds; }

private:
  ObservableKinds wanted_ = ObservableKinds::all();
};

struct PipelineConfig {
  std::string interface {}; ///< tap or capture file, for FlowSeen
  /// In files, where no direction is known: the guest's addresses. Empty: the initiator is local.
  std::vector<IpAddress> local_addresses{};
  FlowTableConfig flows{};
  StreamConfig streams{};
  FragmentConfig fragments{};
};

class PacketPipeline : private FlowTable::Listener {
public:
  PacketPipeline(PipelineConfig config, PipelineSink &sink);
  ~PacketPipeline() override;
  PacketPipeline(const PacketPipeline &) = delete;
  PacketPipeline &operator=(const PacketPipeline &) = delete;

  /// One batch of the source; returns how many packets it held. 0: nothing now, or the end.
  [[nodiscard]] Result<std::size_t> pump(PacketSource &source);
  void process(std::span<const PacketView> packets);

  /// Ends idle flows; call about once a second with the wall clock (files: time of the last
  /// packet).
  void expire(std::int64_t now_ns);
  /// Time stamp of the last packet; 0: none yet.
  [[nodiscard]] std::int64_t last_packet_ns() const { return last_packet_ns_; }
  /// What streams and fragments may hold, when other taps of the VM hold some too.
  void share_memory(std::size_t taps);
  /// Times what it does from now on; must live as long. None: nothing is timed.
  void time_with(StageClock *clock) { clock_ = clock; }
  /// Ends every flow, as the destructor does not.
  void finish();

  [[nodiscard]] PipelineCounters counters() const;
  [[nodiscard]] FlowSeen describe(const Flow &flow) const;
  /// FlowTable::walk().
  template <class Show>
  [[nodiscard]] std::optional<std::uint32_t> walk_flows(std::uint32_t from, std::uint32_t most,
                                                        Show show) const {
    return flows_.walk(from, most, show);
  }
  /// The flow whose packets this one's came in; nullptr: none, or it has ended.
  [[nodiscard]] const Flow *carrier_of(const Flow &flow) const { return flows_.find(flow.carrier); }

private:
  class FlowSink;
  [[nodiscard]] PacketCounters &account_of(const DecodedPacket &packet);
  [[nodiscard]] Result<std::span<const PacketView>> next_batch(PacketSource &source);
  void process_decoded(const DecodedPacket &packet, std::uint32_t hash);
  [[nodiscard]] bool open_tunnel(const DecodedPacket &outer, FlowReference carrier);
  void take_fragment(const DecodedPacket &fragment);
  void datagram(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
                ObservableSink &sink);
  void on_flow_end(Flow &flow, FlowEnd reason) override;
  void count_lost(const SourceCounters &now);

  PipelineConfig config_;
  PipelineSink &sink_;
  PacketCounters packets_;
  PacketCounters inside_;
  SourceCounters source_seen_;
  std::uint64_t observables_ = 0;
  std::uint64_t overfull_ = 0;
  Inspector inspector_;
  FlowTable flows_;
  StreamAssembler streams_;
  FragmentAssembler fragments_;
  std::int64_t last_packet_ns_ = 0;
  StageClock *clock_ = nullptr;
};

} // namespace outguard::guest
