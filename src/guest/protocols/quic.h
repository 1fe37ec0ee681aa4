#pragma once
// Reads the ClientHello out of QUIC's Initial packets, versions 1 and 2 (RFC 9000, 9001, 9369),
// recognized by their bytes on any port. A hello that is not whole after one datagram waits in a
// table of fixed size, the longest unused flow giving way. One thread.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/protocols/observable.h"
#include "guest/protocols/quic_crypto_stream.h"
#include "guest/protocols/quic_opener.h"
#include "guest/protocols/tls_hello.h"

namespace outguard::guest {

struct QuicDatagram {
  std::span<const std::uint8_t> bytes;
  std::uint64_t flow = 0;      ///< unique
  bool from_initiator = false; ///< of the flow: of what servers send nothing can be opened
  std::uint16_t receiver_port = 0;
  bool again = false; ///< behind a hello that was told: what does not open may be its handshake's
};

enum class QuicLook : std::uint8_t {
  NotQuic,
  More, ///< the hello, or its rest, may still come
  Done, ///< it was told, or never will be
};

struct QuicCounts {
  std::uint64_t hellos = 0;
  std::uint64_t unknown_versions = 0; ///< datagrams
  std::uint64_t unopened = 0;         ///< datagrams with Initial packets, also of servers
  std::uint64_t evicted = 0;          ///< flows whose hello was not whole yet
  std::uint64_t gave_up = 0;          ///< hellos that outgrew a limit, or were none
};

class QuicInspector {
public:
  static constexpr std::size_t kMostFlows = 128; ///< of at most 16 KiB each

  [[nodiscard]] QuicLook look(const QuicDatagram &datagram, HelloScratch &scratch,
                              ObservableSink &sink);
  [[nodiscard]] const QuicCounts &counts() const { return counts_; }

private:
  struct Handshake {
    std::uint64_t flow = 0; ///< 0: free
    std::uint64_t used = 0; ///< by look_
    std::optional<QuicKeys> keys;
    std::uint64_t next_number = 0; ///< of packets
    std::uint8_t datagrams = 0;
    bool overflown = false;
    QuicCryptoStream stream;
  };

  [[nodiscard]] Handshake *find(std::uint64_t flow);
  void keep_spare(std::uint64_t flow);
  static void clear(Handshake &handshake);
  [[nodiscard]] std::optional<std::span<const std::uint8_t>> open(Handshake &handshake,
                                                                  const QuicPacket &packet);
  [[nodiscard]] QuicLook unknown_version(const QuicDatagram &datagram, const QuicPacket &packet,
                                         ObservableSink &sink);
  [[nodiscard]] QuicLook read_hello(Handshake &handshake, const QuicDatagram &datagram,
                                    HelloScratch &scratch, ObservableSink &sink);

  QuicOpener opener_;
  std::vector<Handshake> handshakes_; ///< grows to kMostFlows
  Handshake spare_;                   ///< of a datagram whose flow has none yet
  std::uint64_t look_ = 0;
  QuicCounts counts_;
};

} // namespace outguard::guest
