// The first byte says where the bytes are cut in two: a prefix may only ask for more, or agree.
#include <cstdlib>

#include "guest/protocols/recording_test_sink.h"
#include "guest/protocols/tls.h"
#include "guest/testing/message_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<Bytes> seeds;
  for (const auto &hello :
       {client_hello({.server_name = "a.example"}), client_hello({}), server_hello(),
        client_hello({.server_name = "b.example", .key_share = 300, .record_size = 50})}) {
    seeds.push_back({100});
    seeds.back().insert(seeds.back().end(), hello.begin(), hello.end());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::span all(data + 1, size - 1);
  const auto part = all.first(std::min<std::size_t>(data[0], all.size()));
  std::string scratch;
  RecordingSink whole;
  RecordingSink prefix;
  const auto look = look_at_tls(all, scratch, whole).look;
  const auto early = look_at_tls(part, scratch, prefix).look;
  if ((early == TlsLook::Done && (look != TlsLook::Done || prefix.seen != whole.seen)) ||
      (early != TlsLook::Done && !prefix.seen.empty())) {
    std::abort();
  }
  return 0;
}
