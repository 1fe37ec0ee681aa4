// The first byte says in what pieces the stream comes: however they are cut, the same is told in
// the same order.
#include <cstdlib>

#include "guest/protocols/recording_test_sink.h"
#include "guest/protocols/tls.h"
#include "guest/protocols/tls_test_builder.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/scan_clock.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const Bytes long_certificate = Bytes{0x30, 0x82, 0x50, 0x00} + Bytes(0x5000, 7);
  std::vector<Bytes> seeds;
  for (const auto &stream :
       {client_hello({.server_name = "a.example"}), client_hello({}), server_hello(),
        client_hello({.server_name = "b.example", .key_share = 300, .record_size = 50}),
        in_records(server_messages({Bytes(200, 5), Bytes(10, 6)}), 60),
        in_records(server_messages({long_certificate}), 4000)}) {
    seeds.push_back(Bytes{100} + stream);
  }
  return seeds;
}

namespace {

ScanClock &the_clock() {
  static ScanClock clock;
  return clock;
}

/// As the assembler does it, but for its limits.
std::vector<std::string> seen_of(std::span<const std::uint8_t> bytes, std::size_t piece) {
  static TlsScratch scratch;
  RecordingSink sink;
  TlsState state;
  std::size_t begin = 0;
  std::size_t end = std::min(piece, bytes.size());
  while (begin < end) {
    const auto here = bytes.subspan(begin, end - begin);
    const auto result =
        the_clock().time("look", [&] { return look_at_tls(state, here, 443, scratch, sink); });
    if (result.look == TlsLook::Done || result.look == TlsLook::NotTls) {
      break;
    }
    if (result.look == TlsLook::Consumed) {
      if (result.length == 0) {
        std::abort(); // for ever
      }
      begin += std::min(result.length, bytes.size() - begin);
    }
    if (result.look == TlsLook::NeedMore || begin >= end) {
      if (end == bytes.size()) {
        break;
      }
      end = std::min(std::max(begin, end) + piece, bytes.size());
    }
  }
  return sink.seen;
}

} // namespace

std::map<std::string, std::uint64_t> take_scan_times();
std::map<std::string, std::uint64_t> take_scan_times() {
  return the_clock().take();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::span all(data + 1, size - 1);
  const std::size_t piece = std::max<std::size_t>(1 + data[0], size / 64);
  // Beyond what is held, only how much came at once decides whether a certificate's names are told.
  if (size <= kMostTlsHeld && seen_of(all, piece) != seen_of(all, size)) {
    std::abort();
  }
  (void)seen_of(all, piece);
  return 0;
}
