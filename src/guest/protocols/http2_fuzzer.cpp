// The first byte says where the bytes are cut in two: what is seen must not depend on it.
#include "guest/protocols/http2.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/split_test_run.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const Bytes named = hpack_literal(":method", "GET") + hpack_literal(":authority", "a.example") +
                      hpack_literal("user-agent", "x");
  const Bytes large =
      http2_frame(1, 4,
                  hpack_literal(":method", "GET") + hpack_literal(":path", std::string(200, 'x')) +
                      hpack_literal(":authority", std::string(200, '\x01')));
  return {number(128, 1) + large + http2_frame(1, 4, Bytes{0xbe, 0xbf, 0xc0}) +
              http2_frame(1, 4, Bytes{0xbe, 0xc0}),
          number(128, 1) + http2_frames(), number(40, 1) + http2_frame(1, 4, named),
          number(40, 1) + http2_frame(1, 4, Bytes{0x3f, 0x45} + named) + http2_frames()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Http2Shared shared;
  abort_if_cut_matters({data, size}, [&shared] {
    return [connection = Http2Connection::open(shared)](auto bytes, auto &sink) {
      std::string scratch;
      return connection->look(bytes, scratch, sink);
    };
  });
  return 0;
}
