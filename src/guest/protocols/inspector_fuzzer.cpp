// Whole streams in two pieces, from either end, on the port of DNS or another; and datagrams. The
// first byte chooses, the second says where to cut.
#include <cstdlib>

#include "guest/protocols/inspector.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/recording_test_sink.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const Bytes socks = Bytes{5, 1, 0, 5, 1, 0, 3, 10} + bytes_of("c2.example") + Bytes{1, 0xbb};
  return {Bytes{0, 99} + bytes_of(kHttp2Preface) + http2_frames(),
          Bytes{0, 99} + bytes_of("SSH-2.0-x\r\n") + ssh_kex_init(),
          Bytes{0, 99} + bytes_of("EHLO a.b\r\nRCPT TO:<a@b.c>\r\nDATA\r\nx\r\n.\r\nSTARTTLS\r\n") +
              client_hello({.server_name = "mail.example"}),
          Bytes{0, 99} + socks + http_request("a.example", "/"),
          Bytes{1, 99} + bytes_of("220 a ready\r\n250 ok\r\n") + server_hello(),
          Bytes{1, 99} + bytes_of("HTTP/1.1 200 Connection established\r\n\r\n") + server_hello(),
          Bytes{3, 99} + over_tcp(dns_all_answers()) + over_tcp(dns_all_answers())};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 3) {
    return 0;
  }
  const std::span all(data + 2, size - 2);
  const outguard::Endpoint client = endpoint("10.0.0.1:40000");
  const outguard::Endpoint server = endpoint((data[0] & 2) != 0 ? "10.0.0.2:53" : "10.0.0.2:4000");
  const bool answers = (data[0] & 1) != 0;
  const StreamEnds ends{answers ? server : client, answers ? client : server,
                        answers ? StreamRole::Server : StreamRole::Client};
  Inspector inspector;
  RecordingSink sink;
  StreamState state;
  std::uint64_t at = 0;
  for (const std::size_t end : {std::size_t{data[1]} * all.size() / 256, all.size()}) {
    if (at >= end) {
      continue;
    }
    const auto here = all.subspan(static_cast<std::size_t>(at), end - at);
    const auto progress = inspector.stream(state, here, ends, sink);
    if (progress.consumed > here.size() ||
        (progress.skip > 0 && progress.consumed != here.size())) {
      std::abort();
    }
    if (progress.done) {
      break;
    }
    const std::uint64_t passed = progress.consumed + progress.skip;
    at = passed < progress.skip ? UINT64_MAX : at + passed; // a length may be anything
  }
  (void)inspector.datagram(all, 9, data[1], true, sink);
  return 0;
}
