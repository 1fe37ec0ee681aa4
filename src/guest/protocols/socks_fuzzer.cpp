// The first byte says where the bytes are cut in two: what is seen must not depend on it.
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/socks.h"
#include "guest/protocols/split_test_run.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {Bytes{99, 5, 2, 0, 2, 1, 1, 97, 1, 98, 5, 1, 0, 3, 3, 97, 46, 98, 0, 80},
          Bytes{50, 5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 0, 80},
          Bytes{80, 5, 1, 0, 5, 2, 0, 4} + Bytes(18, 7),
          Bytes{60, 4, 1, 0, 80, 192, 0, 2, 1, 97, 0},
          Bytes{60, 4, 1, 0, 80, 0, 0, 0, 1, 97, 0, 98, 0}};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  abort_if_cut_matters({data, size}, [] {
    return [phase = SocksPhase::None](auto bytes, auto &sink) mutable {
      std::string scratch;
      return look_at_socks(phase, bytes, scratch, sink);
    };
  });
  return 0;
}
