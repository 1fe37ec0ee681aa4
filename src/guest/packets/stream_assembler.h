#pragma once
// Puts TCP segments in order for the inspector and keeps of them only what it still needs: a
// message that fits one segment is never copied. Bounded per direction and in total; overlaps
// resolve as Linux does it (what was delivered first stays; of two waiting segments the one that
// starts lower wins). Owned by the PacketPipeline, one thread.

#include <cstdint>
#include <deque>
#include <list>
#include <span>
#include <vector>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/flow.h"
#include "guest/protocols/inspector.h"

namespace outguard::guest {

struct StreamConfig {
  std::uint32_t buffer_bytes = 16 * 1024;   ///< unfinished message, a direction; ClientHellos fit
  std::uint32_t waiting_bytes = 128 * 1024; ///< out-of-order data, a direction: two GSO frames
  std::uint32_t waiting_segments = 32;      ///< out-of-order segments, a direction
  std::uint64_t total_bytes = 16U << 20;    ///< everything held, all flows
};

struct StreamCounters {
  std::uint64_t live = 0;            ///< directions that hold state now
  std::uint64_t bytes_held = 0;      ///< now
  std::uint64_t segments_waited = 0; ///< arrived before their turn
  std::uint64_t repeated = 0;        ///< all of it was there already
  std::uint64_t gaps = 0;            ///< jumped over bytes that never came
  std::uint64_t bytes_missed = 0;    ///< in those gaps
  std::uint64_t resyncs = 0;         ///< segments far outside the window: begun anew there
  std::uint64_t evicted = 0;         ///< directions that lost what they held to total_bytes
  std::uint64_t bad_checksums = 0;   ///< segments of the guest that no receiver takes
  std::uint64_t untaken = 0;         ///< segments with data that no receiver takes, by their flags
  std::uint64_t short_lived = 0;     ///< segments of the guest with another TTL than its first
  std::uint64_t urgent = 0;          ///< segments with an urgent byte, which receivers take out
  std::uint64_t gave_up = 0;         ///< messages that outgrew buffer_bytes; begun anew behind them
};

class StreamAssembler {
public:
  /// What a segment that waits costs beside its bytes: its entry, and the heap's own.
  static constexpr std::uint32_t kWaitingOverhead = 64;

  StreamAssembler(StreamConfig config, Inspector &inspector);

  /// One TCP segment. Sets the flow's app_protocol when it becomes known.
  void segment(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
               ObservableSink &sink);
  /// Forgets both directions; the flow ends or starts anew.
  void release(Flow &flow);

  void limit(std::uint64_t total_bytes) { config_.total_bytes = total_bytes; }

  [[nodiscard]] const StreamCounters &counters() const { return counters_; }

private:
  struct Waiting {
    std::uint32_t sequence = 0;
    std::vector<std::uint8_t> bytes;
  };
  struct Stream {
    StreamState state;
    std::uint64_t skip = 0;           ///< bytes to let pass before the inspector looks again
    std::vector<std::uint8_t> buffer; ///< contiguous, not yet consumed, ends at side.expected
    std::vector<Waiting> waiting;     ///< by sequence number, all beyond side.expected
    std::uint32_t waiting_bytes = 0;
    FlowSide *side = nullptr; ///< whose handle leads here
    std::list<std::uint32_t>::iterator use;
  };

  [[nodiscard]] Stream *stream_of(const FlowSide &side) {
    return side.stream != 0 ? &streams_[side.stream - 1] : nullptr;
  }
  [[nodiscard]] Stream *open_stream(FlowSide &side);
  /// A packet the other way says what has arrived.
  void acknowledge(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
                   ObservableSink &sink);
  void release(FlowSide &side);
  void close(FlowSide &side);
  void deliver(Flow &flow, FlowSide &side, std::span<const std::uint8_t> bytes,
               const StreamEnds &ends, ObservableSink &sink);
  void deliver_waiting(Flow &flow, FlowSide &side, const StreamEnds &ends, ObservableSink &sink);
  [[nodiscard]] Stream *keep(FlowSide &side, StreamState &&state,
                             std::span<const std::uint8_t> unconsumed);
  void begin_anew(Stream &stream);
  [[nodiscard]] bool append(Stream &stream, std::span<const std::uint8_t> bytes);
  void hold_back(FlowSide &side, std::uint32_t sequence, std::span<const std::uint8_t> bytes);
  void jump(FlowSide &side, std::uint32_t to);
  [[nodiscard]] bool reserve(std::uint64_t bytes);

  StreamConfig config_;
  Inspector &inspector_;
  std::deque<Stream> streams_;      ///< handle - 1 is the index; streams stay where they are
  std::list<std::uint32_t> by_use_; ///< handles, the longest idle first
  std::list<std::uint32_t> free_;   ///< the others; nodes go from list to list, without the heap
  StreamCounters counters_;
};

} // namespace outguard::guest
