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
#include "guest/packets/keyed_hash.h"

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

  [[nodiscard]] std::uint32_t hash(const DecodedPacket &packet) const;
  /// Asks for the cache lines that update() will need, while others are being worked on.
  void prefetch_slot(std::uint32_t hash) const;
  void prefetch_flow(std::uint32_t hash) const;

  struct Update {
    Flow &flow;
    FlowDirection direction;
    bool started;
    FlowReference reference;
  };
  /// Finds or starts the packet's flow and brings its counters and TCP state up to date.
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
  /// `tag` is the hash, so that a slot's home is known without its flow. flow: index + 1, 0: empty.
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t flow = 0;
  };

  [[nodiscard]] Flow &at(std::uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }
  [[nodiscard]] const Flow &at(std::uint32_t index) const {
    return chunks_[index / kChunk][index % kChunk];
  }
  [[nodiscard]] std::optional<std::uint32_t> find(const DecodedPacket &packet,
                                                  std::uint32_t hash) const;
  [[nodiscard]] std::uint32_t take_index();
  std::uint32_t start(const DecodedPacket &packet, std::uint32_t hash);
  void place(Slot slot);
  void grow();
  void end(std::uint32_t index, FlowEnd reason);
  void erase_slot(std::uint32_t index);
  void evict_one();
  [[nodiscard]] FlowDirection first_direction(const DecodedPacket &packet) const;
  [[nodiscard]] std::int64_t timeout_ns(const Flow &flow) const;

  FlowTableConfig config_;
  std::vector<IpAddress> local_addresses_;
  Listener &listener_;
  HashSeed seed_;
  std::vector<Slot> slots_; ///< power of two, at most half full: short linear probes
  std::uint32_t mask_ = 0;
  std::vector<std::unique_ptr<Flow[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t hand_ = 0; ///< where the next expiry or eviction looks
  std::uint64_t next_id_ = 1;
  FlowTableCounters counters_;
};

} // namespace outguard::guest
