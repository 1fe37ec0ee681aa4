#include "guest/packets/stream_assembler.h"

#include <algorithm>
#include <iterator>

#include "base/internet_checksum.h"

namespace outguard::guest {

namespace {

/// A receiver's window ends at 1 GiB (RFC 7323); nobody keeps more than some MiB in flight.
constexpr std::int32_t kMostAhead = 64 * 1024 * 1024;

std::int32_t distance(std::uint32_t to, std::uint32_t from) {
  return static_cast<std::int32_t>(to - from);
}

StreamEnds ends_of(const Flow &flow, FlowDirection direction) {
  const bool outward = direction == FlowDirection::ToRemote;
  return {outward ? flow.tuple.local : flow.tuple.remote,
          outward ? flow.tuple.remote : flow.tuple.local,
          direction == flow.initiator ? StreamRole::Client : StreamRole::Server};
}

/// Data from before a SYN that nobody has answered: it began no connection, an older one goes on.
bool is_before_opening(const Flow &flow, FlowDirection direction, std::uint32_t start) {
  return !flow.answered && direction == flow.initiator && distance(start, flow.first_sequence) <= 0;
}

/// The guest may have sent segments for us alone: what comes again may be other than what came.
bool is_doubtful(const Flow &flow) {
  return (flow.blind & static_cast<std::uint8_t>(Blindness::Unreadable)) != 0;
}

/// Data without ACK, or with RST, is dropped wherever it stands (RFC 9293, 3.10.7.4).
bool is_ever_taken(std::uint8_t flags) {
  return (flags & tcp_flag::kRst) == 0 && (flags & (tcp_flag::kAck | tcp_flag::kSyn)) != 0;
}

/// A guest may send a segment with a wrong checksum ahead of the real one, for us to believe.
bool has_bad_checksum(const DecodedPacket &packet) {
  const std::span segment(packet.payload.data() - packet.checked_header,
                          packet.payload.size() + packet.checked_header);
  const auto sum = add_words(segment, add_words(packet.destination.address.octets(),
                                                add_words(packet.source.address.octets())));
  return fold_sum(sum + packet.protocol + segment.size()) != 0xffff;
}

} // namespace

StreamAssembler::StreamAssembler(StreamConfig config, Inspector &inspector)
    : config_(config), inspector_(inspector) {
  static_assert(kWaitingOverhead >= sizeof(Waiting) + 32);
}

void StreamAssembler::segment(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
                              ObservableSink &sink) {
  FlowSide &side = flow.side(direction);
  const auto other = static_cast<FlowDirection>(1 - static_cast<std::uint8_t>(direction));
  if (flow.side(other).stream != 0 &&
      distance(packet.acknowledgment, flow.side(other).expected) > 0) { // never, without a hole
    acknowledge(flow, other, packet, sink);
  }
  if (direction == FlowDirection::ToRemote && packet.hop_limit != side.hop_limit &&
      packet.payload_length != 0) {
    ++counters_.short_lived; // either this or what came before may die on the way
    sink.note_blindness(Blindness::Unreadable);
  }
  const std::uint32_t start =
      packet.sequence + ((packet.tcp_flags & tcp_flag::kSyn) != 0 ? 1U : 0U);
  // Neither lines that nobody knows nor a first hello hide one behind STARTTLS: it begins a
  // segment.
  const bool is_repeated = distance(start, side.expected) < 0 && // further behind: 2 GiB ahead
                           distance(start, side.expected) >= -kMostAhead;
  const bool anew =
      side.inspected && begins_tls(packet.payload) && (!is_repeated || is_doubtful(flow));
  if ((side.inspected && !anew) || packet.payload_length == 0) {
    return;
  }
  if (!is_ever_taken(packet.tcp_flags)) {
    ++counters_.untaken;
    return;
  }
  if (packet.checked_header != 0 && has_bad_checksum(packet)) {
    ++counters_.bad_checksums;
    return;
  }
  if ((packet.tcp_flags & tcp_flag::kUrg) != 0) {
    ++counters_.urgent; // which byte is taken out depends on when the receiver reads
    sink.note_blindness(Blindness::Unreadable);
  }
  if (!side.anchored || anew) { // of a connection in the middle of which the capture begins: here
    side.expected = side.moved && !anew ? side.expected : start;
    flow.answered = flow.answered || side.moved;
    side.anchored = true;
    side.inspected = false;
    side.moved = false;
    release(side);
  }
  std::int32_t ahead = distance(start, side.expected);
  if (ahead > kMostAhead || ahead < -kMostAhead || is_before_opening(flow, direction, start)) {
    // Either this or what came before is not the connection that the receiver sees. To go on with
    // the newer one lets a stray segment cost one message; to stay would let it blind us for good.
    ++counters_.resyncs;
    release(side);
    side.expected = start;
    flow.answered = true; // not by what was seen of it, but its SYN says nothing any more
    ahead = 0;
  }
  if (const Stream *stream = stream_of(side)) {
    by_use_.splice(by_use_.end(), by_use_, stream->use);
  }
  const StreamEnds ends = ends_of(flow, direction);
  if (ahead > 0) {
    hold_back(side, start, packet.payload);
    const Stream *stream = stream_of(side);
    if (stream == nullptr || (stream->waiting.size() < config_.waiting_segments &&
                              stream->waiting_bytes < config_.waiting_bytes)) {
      return;
    }
    jump(side, stream->waiting.front().sequence); // what is missing will not come any more
  } else {
    const auto old = static_cast<std::uint32_t>(-ahead);
    if (old >= packet.payload_length) {
      ++counters_.repeated;
      if (is_doubtful(flow) && !packet.payload.empty()) { // the receiver may have this one only
        StreamState apart;
        (void)inspector_.stream(apart, packet.payload, ends, sink);
      }
      return;
    }
    const auto bytes = packet.payload;
    deliver(flow, side, bytes.subspan(std::min<std::size_t>(old, bytes.size())), ends, sink);
    if (!side.inspected && bytes.size() < packet.payload_length) {
      jump(side, start + packet.payload_length); // cut by the capture
    }
  }
  deliver_waiting(flow, side, ends, sink);
}

/// `direction`'s receiver has the bytes before what waits, so nobody sends them again. The remote
/// end may lie about that: where it acknowledges more than the guest has sent, the guest's kernel
/// ignores that (RFC 9293, 3.10.7.4) and sends the missing bytes again; so it is ignored here. What
/// the guest says of itself is believed, as flow_table.cpp does. No acknowledgement is remembered:
/// one that comes before the segment behind the hole does not bear on it.
void StreamAssembler::acknowledge(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
                                  ObservableSink &sink) {
  constexpr std::uint8_t kFlags = tcp_flag::kSyn | tcp_flag::kRst | tcp_flag::kAck;
  FlowSide &side = flow.side(direction);
  if ((packet.tcp_flags & kFlags) != tcp_flag::kAck ||
      distance(packet.acknowledgment, side.next_sequence) > 0) {
    return;
  }
  for (Stream *stream = stream_of(side);
       stream != nullptr && !stream->waiting.empty() &&
       distance(packet.acknowledgment, stream->waiting.front().sequence) >= 0;
       stream = stream_of(side)) {
    by_use_.splice(by_use_.end(), by_use_, stream->use);
    jump(side, stream->waiting.front().sequence);
    deliver_waiting(flow, side, ends_of(flow, direction), sink);
  }
}

void StreamAssembler::deliver(Flow &flow, FlowSide &side, std::span<const std::uint8_t> bytes,
                              const StreamEnds &ends, ObservableSink &sink) {
  side.expected += static_cast<std::uint32_t>(bytes.size());
  while (!bytes.empty() && !side.inspected) {
    Stream *stream = stream_of(side);
    if (stream != nullptr && stream->skip > 0) {
      const std::size_t skipped = std::min<std::uint64_t>(stream->skip, bytes.size());
      stream->skip -= skipped;
      bytes = bytes.subspan(skipped);
      continue;
    }
    auto view = bytes;
    StreamState state;
    if (stream != nullptr) {
      state = std::move(stream->state);
      if (!stream->buffer.empty()) {
        const auto room = config_.buffer_bytes - stream->buffer.size();
        view = bytes.first(std::min(room, bytes.size()));
        if (!append(*stream, view)) {
          release(side);
          return;
        }
      }
    }
    bytes = bytes.subspan(view.size());
    if (stream != nullptr && !stream->buffer.empty()) {
      view = stream->buffer;
    }
    const StreamProgress progress = inspector_.stream(state, view, ends, sink);
    if (state.protocol != AppProtocol::None) {
      flow.app_protocol = state.protocol;
    }
    if (progress.done) {
      close(side);
      return;
    }
    if (Stream *kept = keep(side, std::move(state), view.subspan(progress.consumed))) {
      kept->skip = progress.skip;
    }
  }
}

/// Remembers what the next segment will be looked at with. `unconsumed` is the tail of the stream's
/// own buffer or of a packet. nullptr: too much, or no memory left; the next segment is looked at
/// without what came before.
StreamAssembler::Stream *StreamAssembler::keep(FlowSide &side, StreamState &&state,
                                               std::span<const std::uint8_t> unconsumed) {
  if (unconsumed.size() >= config_.buffer_bytes) {
    ++counters_.gave_up;
    if (Stream *stream = stream_of(side)) {
      begin_anew(*stream);
    }
    return nullptr;
  }
  Stream *stream = open_stream(side);
  if (stream == nullptr) {
    return nullptr;
  }
  stream->state = std::move(state);
  if (stream->buffer.empty()) {
    if (append(*stream, unconsumed)) {
      return stream;
    }
    release(side);
    return nullptr;
  }
  const auto consumed = stream->buffer.size() - unconsumed.size();
  stream->buffer.erase(stream->buffer.begin(),
                       stream->buffer.begin() + static_cast<std::ptrdiff_t>(consumed));
  return stream;
}

/// Keeps only what waits.
void StreamAssembler::begin_anew(Stream &stream) {
  counters_.bytes_held -= stream.buffer.capacity();
  stream.buffer = std::vector<std::uint8_t>(); // `= {}` would keep the memory
  stream.state = {};
}

bool StreamAssembler::append(Stream &stream, std::span<const std::uint8_t> bytes) {
  const std::size_t needed = stream.buffer.size() + bytes.size();
  if (needed > stream.buffer.capacity()) {
    const std::size_t wanted = std::min<std::size_t>(config_.buffer_bytes, needed * 2);
    if (!reserve(wanted - stream.buffer.capacity())) {
      return false;
    }
    stream.buffer.reserve(wanted);
  }
  stream.buffer.insert(stream.buffer.end(), bytes.begin(), bytes.end());
  return true;
}

/// Linux (tcp_data_queue_ofo, 6.1): a segment inside a waiting one is dropped, one that covers
/// others replaces them, partial overlaps stay and the lower start wins when they are delivered.
void StreamAssembler::hold_back(FlowSide &side, std::uint32_t sequence,
                                std::span<const std::uint8_t> bytes) {
  Stream *stream = bytes.empty() ? nullptr : open_stream(side);
  if (stream == nullptr) {
    return;
  }
  ++counters_.segments_waited;
  const std::uint32_t end = sequence + static_cast<std::uint32_t>(bytes.size());
  const auto end_of = [](const Waiting &piece) {
    return piece.sequence + static_cast<std::uint32_t>(piece.bytes.size());
  };
  auto &waiting = stream->waiting;
  auto place = std::find_if(waiting.begin(), waiting.end(), [&](const Waiting &piece) {
    return distance(piece.sequence, sequence) >= 0;
  });
  const bool repeats_before = place != waiting.begin() && distance(end_of(place[-1]), end) >= 0;
  const bool repeats_here =
      place != waiting.end() && place->sequence == sequence && distance(end_of(*place), end) >= 0;
  if (repeats_before || repeats_here) {
    ++counters_.repeated;
    return;
  }
  if (!reserve(bytes.size() + kWaitingOverhead)) {
    return;
  }
  while (place != waiting.end() && distance(end_of(*place), end) <= 0) {
    counters_.bytes_held -= place->bytes.size() + kWaitingOverhead;
    stream->waiting_bytes -= static_cast<std::uint32_t>(place->bytes.size());
    place = waiting.erase(place);
  }
  stream->waiting_bytes += static_cast<std::uint32_t>(bytes.size());
  waiting.insert(place, Waiting{sequence, {bytes.begin(), bytes.end()}});
}

void StreamAssembler::deliver_waiting(Flow &flow, FlowSide &side, const StreamEnds &ends,
                                      ObservableSink &sink) {
  for (Stream *stream = stream_of(side);
       stream != nullptr && !stream->waiting.empty() &&
       distance(stream->waiting.front().sequence, side.expected) <= 0;
       stream = stream_of(side)) {
    const Waiting piece = std::move(stream->waiting.front());
    stream->waiting.erase(stream->waiting.begin());
    stream->waiting_bytes -= static_cast<std::uint32_t>(piece.bytes.size());
    counters_.bytes_held -= piece.bytes.size() + kWaitingOverhead;
    const std::size_t old = side.expected - piece.sequence;
    if (old < piece.bytes.size()) {
      deliver(flow, side, std::span(piece.bytes).subspan(old), ends, sink);
    }
  }
}

/// Goes on at `to`; the bytes before it were never captured.
void StreamAssembler::jump(FlowSide &side, std::uint32_t to) {
  const std::uint32_t missed = to - side.expected;
  ++counters_.gaps;
  counters_.bytes_missed += missed;
  side.expected = to;
  Stream *stream = stream_of(side);
  if (stream == nullptr) {
    return;
  }
  if (stream->skip >= missed) {
    stream->skip -= missed; // nobody wanted them
    return;
  }
  stream->skip = 0;
  stream->buffer.clear();
  stream->state.lose_place();
}

StreamAssembler::Stream *StreamAssembler::open_stream(FlowSide &side) {
  if (side.stream != 0) {
    return stream_of(side);
  }
  if (!reserve(sizeof(Stream))) {
    return nullptr;
  }
  if (free_.empty()) {
    streams_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(streams_.size()));
  }
  by_use_.splice(by_use_.end(), free_, free_.begin());
  side.stream = by_use_.back();
  ++counters_.live;
  Stream *stream = stream_of(side);
  stream->side = &side;
  stream->use = std::prev(by_use_.end());
  return stream;
}

/// Makes room at the cost of the longest idle: connections that hold unfinished messages and wait
/// must not blind us to new ones. The last in use is the one at hand and stays.
bool StreamAssembler::reserve(std::uint64_t bytes) {
  while (bytes > config_.total_bytes - std::min(config_.total_bytes, counters_.bytes_held)) {
    ++counters_.evicted;
    if (by_use_.size() <= 1) {
      return false;
    }
    release(*streams_[by_use_.front() - 1].side);
  }
  counters_.bytes_held += bytes;
  return true;
}

void StreamAssembler::release(FlowSide &side) {
  Stream *stream = stream_of(side);
  if (stream == nullptr) {
    return;
  }
  counters_.bytes_held -= sizeof(Stream) + stream->buffer.capacity() + stream->waiting_bytes +
                          stream->waiting.size() * kWaitingOverhead;
  --counters_.live;
  free_.splice(free_.begin(), by_use_, stream->use);
  *stream = Stream{};
  side.stream = 0;
}

void StreamAssembler::close(FlowSide &side) {
  release(side);
  side.inspected = true;
}

void StreamAssembler::release(Flow &flow) {
  for (FlowSide &side : flow.sides) {
    release(side);
  }
}

} // namespace outguard::guest
