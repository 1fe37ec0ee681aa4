#include "guest/protocols/quic.h"

#include <algorithm>

namespace outguard::guest {

namespace {

constexpr std::uint8_t kClientHello = 1;
constexpr std::size_t kHandshakeHeader = 4;
constexpr int kMostPackets = 64;     ///< coalesced; clients send up to three
constexpr int kMostInitials = 8;     ///< of these, for each is opened
constexpr int kMostFrames = 1024;    ///< of a packet; runs of padding and pings count as one
constexpr int kMostDatagrams = 32;   ///< with Initial packets of one hello
constexpr std::size_t kLeast = 1200; ///< a client's first datagram (RFC 9000, 14.1)
constexpr std::uint16_t kPort = 443;

enum Frame : std::uint64_t { // RFC 9000, 19; all that Initial packets may have
  kPadding = 0,
  kPing = 1,
  kAck = 2,
  kAckWithCounts = 3,
  kCrypto = 6,
  kClose = 0x1c,
};

void skip_integers(ByteCursor &cursor, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!quic_integer(cursor)) {
      return;
    }
  }
}

void skip_ack(ByteCursor &cursor, bool with_counts) {
  skip_integers(cursor, 2); // largest, delay
  const auto ranges = quic_integer(cursor);
  const std::uint64_t most = cursor.remaining();
  skip_integers(cursor, 1 + 2 * std::min(ranges.value_or(0), most) + (with_counts ? 3 : 0));
}

/// False: a CRYPTO frame did not fit, or there are too many frames.
bool read_frames(std::span<const std::uint8_t> frames, QuicCryptoStream &stream) {
  ByteCursor cursor(frames);
  bool fits = true;
  for (int i = 0; !cursor.at_end(); ++i) {
    if (i == kMostFrames) {
      return false;
    }
    const auto type = quic_integer(cursor);
    if (!type) {
      break;
    }
    if (*type == kPadding || *type == kPing) {
      const auto rest = cursor.rest();
      const auto end =
          std::find_if(rest.begin(), rest.end(), [](auto byte) { return byte > kPing; });
      (void)cursor.skip(static_cast<std::size_t>(end - rest.begin()));
    } else if (*type == kAck || *type == kAckWithCounts) {
      skip_ack(cursor, *type == kAckWithCounts);
    } else if (*type == kCrypto) {
      const auto offset = quic_integer(cursor);
      const auto length = quic_integer(cursor);
      if (!offset || !length || *length > cursor.remaining()) {
        break;
      }
      fits = stream.add(*offset, *cursor.take(*length)) && fits;
    } else {
      break; // a close, or nothing that belongs here
    }
  }
  return fits;
}

/// Versions that were in use, or that exist to be refused; any on QUIC's own port.
bool is_plausible(const QuicPacket &packet, const QuicDatagram &datagram) {
  const std::uint32_t version = packet.version;
  const std::uint32_t letter = version >> 24;
  const bool known_kind = (version & 0xffffff00) == 0xff000000 || // IETF drafts
                          (version & 0xfffffff0) == 0xfaceb000 || // mvfst
                          (version & 0x0f0f0f0f) == 0x0a0a0a0a ||
                          ((letter == 'Q' || letter == 'T') && (version >> 16 & 0xff) == '0');
  return datagram.bytes.size() >= kLeast && packet.destination_id.size() >= 8 &&
         (known_kind || datagram.receiver_port == kPort);
}

} // namespace

QuicLook QuicInspector::look(const QuicDatagram &datagram, HelloScratch &scratch,
                             ObservableSink &sink) {
  if (datagram.bytes.empty() || !has_quic_long_header(datagram.bytes[0])) {
    return QuicLook::NotQuic;
  }
  ++look_;
  QuicLook result = QuicLook::NotQuic;
  Handshake *kept = nullptr;
  bool opened = false;
  bool unopened = false;
  ByteCursor cursor(datagram.bytes);
  int initials = 0;
  for (int packets = 0; !cursor.at_end(); ++packets) {
    const auto packet = next_quic_packet(cursor);
    if (!packet) {
      break;
    }
    if (packets == kMostPackets || initials == kMostInitials) {
      unopened = true;
      break;
    }
    if (packet->type == QuicPacketType::Unknown) {
      return result == QuicLook::NotQuic ? unknown_version(datagram, *packet, sink) : result;
    }
    if (packet->type == QuicPacketType::VersionNegotiation && result == QuicLook::NotQuic &&
        datagram.receiver_port != kPort && datagram.from_initiator) {
      return QuicLook::NotQuic; // zeros say little, and servers answer only
    }
    result = QuicLook::More;
    if (packet->type != QuicPacketType::Initial) {
      continue; // of a Retry the client's next packet tells all
    }
    ++initials;
    if (!opened) {
      kept = find(datagram.flow);
    }
    Handshake &handshake = kept != nullptr ? *kept : spare_;
    if (const auto frames = open(handshake, *packet)) {
      opened = true;
      handshake.overflown = !read_frames(*frames, handshake.stream) || handshake.overflown;
    } else {
      unopened = true;
    }
  }
  if (unopened && !datagram.again) {
    ++counts_.unopened;
    if (datagram.from_initiator) {
      sink.note_blindness(Blindness::Unreadable);
    }
  }
  if (opened) {
    Handshake &handshake = kept != nullptr ? *kept : spare_;
    handshake.used = look_;
    result = read_hello(handshake, datagram, scratch, sink);
    if (result == QuicLook::More && kept == nullptr) {
      keep_spare(datagram.flow);
    }
  }
  clear(spare_);
  return result;
}

/// With the keys of the flow's first packet; or its own, when it is the first, or the first behind
/// a Retry: then the hello begins anew.
std::optional<std::span<const std::uint8_t>> QuicInspector::open(Handshake &handshake,
                                                                 const QuicPacket &packet) {
  if (handshake.keys) {
    if (const auto frames = opener_.open(*handshake.keys, packet, handshake.next_number)) {
      handshake.next_number = std::max(handshake.next_number, opener_.number() + 1);
      return frames;
    }
  }
  const auto keys = opener_.client_keys(packet.version, packet.destination_id);
  if (!keys || keys == handshake.keys) {
    return std::nullopt;
  }
  const auto frames = opener_.open(*keys, packet);
  if (frames) {
    handshake.stream.clear();
    handshake.overflown = false;
    handshake.keys = keys;
    handshake.next_number = opener_.number() + 1;
  }
  return frames;
}

QuicLook QuicInspector::unknown_version(const QuicDatagram &datagram, const QuicPacket &packet,
                                        ObservableSink &sink) {
  if (!is_plausible(packet, datagram)) {
    return QuicLook::NotQuic;
  }
  ++counts_.unknown_versions;
  const bool only_a_try = (packet.version & 0x0f0f0f0f) == 0x0a0a0a0a; // RFC 9000, 15
  if (!only_a_try && datagram.from_initiator) {
    sink.note_blindness(Blindness::Unreadable);
  }
  return QuicLook::More; // the client may fall back to a version that is known
}

QuicLook QuicInspector::read_hello(Handshake &handshake, const QuicDatagram &datagram,
                                   HelloScratch &scratch, ObservableSink &sink) {
  const auto message = handshake.stream.beginning();
  bool never = handshake.overflown || ++handshake.datagrams > kMostDatagrams;
  bool whole = false;
  if (message.size() >= kHandshakeHeader) {
    const auto length = kHandshakeHeader +
                        static_cast<std::size_t>(message[1] << 16 | message[2] << 8 | message[3]);
    whole = message[0] == kClientHello && message.size() >= length;
    never = never || message[0] != kClientHello || length > QuicCryptoStream::kMostBytes;
    if (whole) {
      ++counts_.hellos;
      observe_client_hello(message.subspan(kHandshakeHeader, length - kHandshakeHeader),
                           HelloTransport::Quic, datagram.receiver_port, ServerName::Untold,
                           scratch, sink);
    }
  }
  if (!whole && !never) {
    return QuicLook::More;
  }
  if (!whole) {
    ++counts_.gave_up;
    sink.note_blindness(Blindness::Unreadable);
  }
  clear(handshake);
  return QuicLook::Done;
}

QuicInspector::Handshake *QuicInspector::find(std::uint64_t flow) {
  const auto found = std::find_if(handshakes_.begin(), handshakes_.end(),
                                  [&](const Handshake &h) { return h.flow == flow; });
  return found != handshakes_.end() ? &*found : nullptr;
}

/// Puts what the spare one holds into the table.
void QuicInspector::keep_spare(std::uint64_t flow) {
  Handshake *place = find(0);
  if (place == nullptr && handshakes_.size() < kMostFlows) {
    place = &handshakes_.emplace_back();
  }
  if (place == nullptr) {
    place = &*std::min_element(handshakes_.begin(), handshakes_.end(),
                               [](const auto &a, const auto &b) { return a.used < b.used; });
    ++counts_.evicted;
  }
  std::swap(*place, spare_);
  place->flow = flow;
}

void QuicInspector::clear(Handshake &handshake) {
  handshake.flow = 0;
  handshake.keys.reset();
  handshake.datagrams = 0;
  handshake.overflown = false;
  handshake.stream.clear();
}

} // namespace outguard::guest
