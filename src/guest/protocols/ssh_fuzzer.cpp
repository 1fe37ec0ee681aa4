// The first byte says where the bytes are cut in two: what is seen must not depend on it.
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/split_test_run.h"
#include "guest/protocols/ssh.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {number(128, 1) + bytes_of("SSH-2.0-x\r\n") + ssh_kex_init(),
          number(9, 1) + bytes_of("SSH-2.0-x\n") + ssh_packet(2, {1, 2})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  abort_if_cut_matters({data, size}, [] {
    return [banner = true](auto bytes, auto &sink) mutable {
      std::string scratch;
      const Look look = banner ? look_at_ssh_banner(bytes, scratch, sink)
                               : look_at_ssh_packet(bytes, StreamRole::Server, scratch, sink);
      banner = banner && look.outcome != Look::Outcome::Consumed;
      return look;
    };
  });
  return 0;
}
