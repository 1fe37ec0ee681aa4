#pragma once
// The flows of one VM: a keyed hash over a fixed number of slots, so that neither a flood nor
// chosen addresses cost more than an eviction. Owned by the PacketPipeline, one thread. Flows stay
// where they are until they end; the listener hears of every end, also of evictions.

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/flow.h"
#include "guest/packets/flow_slots.h"
#include "guest/packets/keyed_hash.h"
#include "guest/packets/tuple_hash.h"

namespace outguard::guest {

/// How long a flow without packets lives.
struct FlowTimeouts {
  std::chrono::seconds tcp_opening{60}; ///< no answer yet, or only one side seen
  std::chrono::seconds tcp_open{3600}; ///< Linux keeps a silent connection for days; NATs for hours
  std::chrono::seconds tcp_closed{10}; ///< FIN both ways, or RST: late retransmissions only
  std::chrono::seconds udp{120};
  std::chrono::seconds other{30}; ///< ICMP and protocols without ports
};

struct FlowTableConfig {
  std::uint32_t max_flows = 65536; ///< 192 bytes each, taken as needed
  FlowTimeouts timeouts;
  std::optional<HashSeed> seed; ///< tests only; none: random
};

struct FlowTableCounters {
  std::uint64_t started = 0;
  std::uint64_t live = 0;
  std::uint64_t stray_syns = 0;         ///< within connections; a new one begins with the answer
  std::array<std::uint64_t, 5> ended{}; ///< by FlowEnd; started == live + sum(ended)
};

class FlowTable {
public:
  class Listener {
  public:
    virtual ~Listener() = default;
    virtual void on_flow_end(Flow &flow, FlowEnd reason) = 0;
  };

  /// `local_addresses` decides which end is the guest's where a packet's direction is unknown.
  FlowTable(FlowTableConfig config, std::vector<IpAddress> local_addresses, Listener &listener);

  [[nodiscard]] std::uint32_t hash(const DecodedPacket &packet) const { return hash_(packet); }
  /// Asks for the cache lines that update() will need, while others are being worked on.
  void prefetch_slot(std::uint32_t hash) const { slots_.prefetch(hash); }
  void prefetch_flow(std::uint32_t hash) const {
    if (const std::uint32_t place = slots_.guess(hash); place != 0) {
      const Flow &flow = at(place - 1);
      __builtin_prefetch(&flow, 1);
      __builtin_prefetch(&flow.sides, 1);
    }
  }

  struct Update {
    Flow &flow;
    FlowDirection direction;
    bool started;
    bool heeded; ///< false: a SYN within a connection; its receiver takes nothing of it
    std::uint32_t place;

    [[nodiscard]] FlowReference reference() const {
      return {place, static_cast<std::uint32_t>(flow.id)};
    }
  };
  /// Finds or starts the packet's flow and brings its counters and TCP state up to date. One that
  /// was idle for too long when the packet came is ended, however rarely expire() is called.
  Update update(const DecodedPacket &packet, std::uint32_t hash);

  /// nullptr: it has ended.
  [[nodiscard]] const Flow *find(FlowReference reference) const;
  /// DecodedPacket::network for what `outer` carries, from the `own` that its headers gave it:
  /// equal addresses in two tunnels are two networks; both directions of one tunnel are the same.
  [[nodiscard]] std::uint32_t network_inside(const DecodedPacket &outer, std::uint32_t own) const;

  /// Shows the live flows of at most `most` places from `from` on; where to go on, if not at the
  /// end.
  template <class Show>
  [[nodiscard]] std::optional<std::uint32_t> walk(std::uint32_t from, std::uint32_t most,
                                                  Show show) const {
    const auto total = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
    for (; from < total && most != 0; ++from, --most) {
      if (at(from).id != 0) {
        show(at(from));
      }
    }
    return from < total ? std::optional(from) : std::nullopt;
  }

  /// Ends flows that were idle for too long. Looks at a bounded number a call, all in turn.
  void expire(std::int64_t now_ns);
  void end_all();

  [[nodiscard]] const FlowTableCounters &counters() const { return counters_; }

private:
  static constexpr std::uint32_t kChunk = 1024; ///< flows allocated at once

  [[nodiscard]] Flow &at(std::uint32_t index) {
    return chunks_.data()[index / kChunk].get()[index % kChunk];
  }
  [[nodiscard]] const Flow &at(std::uint32_t index) const {
    return chunks_.data()[index / kChunk].get()[index % kChunk];
  }
  [[nodiscard]] std::uint32_t take_index();
  [[nodiscard]] std::uint32_t start(const DecodedPacket &packet, std::uint32_t hash,
                                    FlowDirection direction);
  void end(std::uint32_t index, FlowEnd reason);
  void end_idle(std::uint32_t index);
  void evict_one();
  [[nodiscard]] FlowDirection first_direction(const DecodedPacket &packet) const;
  [[nodiscard]] bool is_idle(const Flow &flow, std::int64_t now_ns) const;
  [[nodiscard]] std::int64_t timeout_ns(const Flow &flow) const;

  FlowTableConfig config_;
  std::int64_t shortest_timeout_ns_ = 0;
  std::vector<IpAddress> local_addresses_;
  Listener &listener_;
  HashSeed seed_;
  TupleHash hash_;
  FlowSlots slots_;
  std::vector<std::unique_ptr<Flow[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t hand_ = 0; ///< where the next expiry or eviction looks
  std::uint64_t next_id_ = 1;
  FlowTableCounters counters_;
};

} // namespace outguard::guest
