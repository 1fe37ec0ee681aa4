#pragma once
// Recognizes a protocol by its bytes, never by its port alone, and hands them to the parser. Knows
// nothing of packets: a stream is a run of bytes that begins where the last call stopped consuming.
// Owned by the PacketPipeline, one thread; its scratch memory holds the text of observables.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "guest/protocols/http.h"
#include "guest/protocols/http2.h"
#include "guest/protocols/look.h"
#include "guest/protocols/observable.h"
#include "guest/protocols/quic.h"
#include "guest/protocols/smtp.h"
#include "guest/protocols/socks.h"
#include "guest/protocols/stream_ends.h"
#include "guest/protocols/tls.h"

namespace outguard::guest {

/// What is remembered of one direction of a stream between calls.
struct StreamState {
  AppProtocol protocol = AppProtocol::None; ///< last recognized
  std::uint16_t misses = 0;                 ///< looks that recognized nothing
  std::uint16_t replies = 0;                ///< lines of a server with a number in front
  MailText mail = MailText::None;
  SocksPhase socks = SocksPhase::None;
  HttpHeadState http;
  TlsState tls;
  std::unique_ptr<Http2Connection> http2;

  /// Bytes were lost: what comes next need not be the start of a message.
  void lose_place();
};

struct StreamProgress {
  std::size_t consumed = 0; ///< of the bytes given; the rest is wanted again, with more behind it
  std::uint64_t skip = 0;   ///< bytes behind the consumed ones that nobody wants to see
  bool done = false;        ///< nothing more is wanted of this direction
};

class Inspector {
public:
  /// Bytes of one direction of a stream, from where the last call stopped; never empty.
  [[nodiscard]] StreamProgress stream(StreamState &state, std::span<const std::uint8_t> bytes,
                                      const StreamEnds &ends, ObservableSink &sink);

  /// One datagram. `answers_wanted`: the query of an answer was not seen, so take the names from
  /// it.
  AppProtocol datagram(std::span<const std::uint8_t> bytes, std::uint16_t source_port,
                       std::uint16_t destination_port, bool answers_wanted, ObservableSink &sink);

  /// One datagram that may be QUIC's; see quic.h.
  [[nodiscard]] QuicLook quic(const QuicDatagram &datagram, ObservableSink &sink) {
    return quic_.look(datagram, tls_.hello, sink);
  }

  [[nodiscard]] const QuicCounts &quic_counts() const { return quic_.counts(); }
  /// As LongCertificates::lost(), TlsScratch::names_untold.
  [[nodiscard]] std::uint64_t certificates_lost() const { return tls_.long_certificates.lost(); }
  [[nodiscard]] std::uint64_t certificate_names_untold() const { return tls_.names_untold; }
  /// HTTP/2 connections that were not read: too many at once.
  [[nodiscard]] std::uint64_t http2_refused() const { return http2_.refused; }
  /// Likewise: from some frame on, as it was broken or beyond a limit, or bytes were missing.
  [[nodiscard]] std::uint64_t http2_let_go() const { return http2_.let_go; }

private:
  struct Recognized {
    Look look;
    AppProtocol protocol = AppProtocol::None; ///< None: what was recognized proves nothing yet
  };
  [[nodiscard]] Recognized recognize(StreamState &state, std::span<const std::uint8_t> bytes,
                                     const StreamEnds &ends, ObservableSink &sink);
  [[nodiscard]] Recognized continue_known(StreamState &state, std::span<const std::uint8_t> bytes,
                                          const StreamEnds &ends, ObservableSink &sink);
  [[nodiscard]] Recognized look_at_words(StreamState &state, std::span<const std::uint8_t> bytes,
                                         const StreamEnds &ends, ObservableSink &sink);
  [[nodiscard]] Look look_at_http2(StreamState &state, std::span<const std::uint8_t> bytes,
                                   ObservableSink &sink);

  std::string scratch_;
  TlsScratch tls_;
  QuicInspector quic_;
  Http2Shared http2_;
};

} // namespace outguard::guest
