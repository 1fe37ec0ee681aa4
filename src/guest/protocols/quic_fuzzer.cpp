// A sequence of datagrams: each a control byte, a length of two bytes, and that many bytes. The
// control byte says whether they are a datagram, or frames to be sealed into an Initial packet, so
// that the fuzzer gets behind the encryption; and of which of four flows.
#include <cstdlib>

#include "guest/protocols/quic.h"
#include "guest/protocols/quic_test_builder.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/scan_clock.h"

using namespace outguard::guest;

namespace {

constexpr std::uint8_t kSealed = 0x80;
constexpr std::uint8_t kVersion2 = 0x40;
constexpr std::uint8_t kServer = 0x20;

ScanClock &the_clock() {
  static ScanClock clock;
  return clock;
}

void add(Bytes &seed, std::uint8_t control, const Bytes &bytes) {
  seed = std::move(seed) + Bytes{control} + counted(bytes, 2);
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const auto hello =
      message(1, hello_body({.ciphers = {0x1301}, .extensions = {sni("a.example"), alpn({"h3"})}}));
  Bytes whole;
  add(whole, kSealed, crypto_frame(hello, 0, hello.size()));
  Bytes scattered;
  add(scattered, kSealed | kVersion2, crypto_frame(hello, 40, hello.size()) + Bytes{1, 0, 0});
  add(scattered, kSealed | kVersion2, Bytes{2, 5, 0, 1, 0, 1, 1} + crypto_frame(hello, 0, 50));
  Bytes plain;
  add(plain, 0, quic_initial({}, crypto_frame(hello, 0, hello.size())));
  add(plain, kServer, Bytes{0xf0} + number(kQuicVersion1, 4) + Bytes(40, 3));
  add(plain, 1, Bytes{0xc0} + number(0xff00001d, 4) + Bytes{8} + Bytes(1200, 3));
  return {whole, scattered, plain};
}

std::map<std::string, std::uint64_t> take_scan_times();
std::map<std::string, std::uint64_t> take_scan_times() {
  return the_clock().take();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static HelloScratch scratch;
  QuicInspector inspector;
  ByteCursor cursor({data, size});
  for (int i = 0; i < 64; ++i) {
    const auto control = cursor.u8();
    const auto length = cursor.be16();
    if (!control || !length) {
      break;
    }
    const auto raw = *cursor.take(std::min<std::size_t>(*length, cursor.remaining()));
    Bytes bytes(raw.begin(), raw.end());
    if ((*control & kSealed) != 0) {
      bytes = quic_initial(
          {.version = (*control & kVersion2) != 0 ? kQuicVersion2 : kQuicVersion1, .least = 20},
          bytes);
    }
    RecordingSink sink;
    const auto look = the_clock().time("datagram", [&, from = *control] {
      return inspector.look({bytes, 1U + (from & 3U), (from & kServer) == 0, 443}, scratch, sink);
    });
    if (look != QuicLook::Done && !sink.seen.empty()) {
      std::abort();
    }
  }
  const auto &counts = inspector.counts();
  if (counts.evicted != 0 || counts.hellos + counts.gave_up > 64) {
    std::abort();
  }
  return 0;
}
