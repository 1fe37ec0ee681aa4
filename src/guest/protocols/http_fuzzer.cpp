// The first byte says where the bytes are cut in two: what is seen must not depend on it.
#include <cstdlib>

#include "guest/protocols/http.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<Bytes> seeds;
  for (const auto &request :
       {http_request("a.example:81", "/x?y", "POST", "body"),
        http_request("[2001:db8::1]", "http://u@b.example/"), http_request("", "/", "GET"),
        http_request("c.example:443", "c.example:443", "CONNECT")}) {
    seeds.push_back({30});
    seeds.back().insert(seeds.back().end(), request.begin(), request.end());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::span all(data + 1, size - 1);
  const auto part = all.first(std::min<std::size_t>(data[0], all.size()));
  const outguard::Endpoint receiver = endpoint("[2001:db8::7]:80");
  std::string scratch;
  RecordingSink once;
  HttpHeadState whole;
  const auto result = look_at_http_request(whole, all, receiver, scratch, once);
  RecordingSink twice;
  HttpHeadState halves;
  const auto first = look_at_http_request(halves, part, receiver, scratch, twice);
  if (first.look == HttpLook::NeedMore) {
    const auto second = look_at_http_request(halves, all, receiver, scratch, twice);
    if (second.look != result.look || second.head_length != result.head_length ||
        once.seen != twice.seen) {
      std::abort();
    }
  }
  if (result.head_length > all.size()) {
    std::abort();
  }
  (void)may_be_http_request(all);
  return 0;
}
