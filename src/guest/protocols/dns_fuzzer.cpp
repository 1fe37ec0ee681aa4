#include <cstdlib>

#include "guest/protocols/dns.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  auto pointer = dns_query("a.example");
  pointer[5] = 2;
  for (const auto byte : Bytes{1, 98, 0xc0, 14, 0, 1, 0, 1}) {
    pointer.push_back(byte);
  }
  return {dns_query("www.example.com"), dns_answer("a.example", "192.0.2.1"),
          dns_answer("b.example", "2001:db8::1"), pointer, dns_all_answers()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string scratch;
  for (const auto strictness : {DnsStrictness::OwnPort, DnsStrictness::AnyPort}) {
    RecordingSink sink;
    const auto look =
        look_at_dns({data, size}, strictness, DnsNames::OfQueriesAndAnswers, scratch, sink);
    if (look == DnsLook::NotDns && !sink.seen.empty()) {
      std::abort(); // what is not DNS has no names
    }
    if (sink.seen.size() > 160) { // 32 questions, 128 answers
      std::abort();
    }
    for (const auto &text : sink.seen) {
      if (text.size() > 1100) { // 253 bytes, each escaped, and the kind
        std::abort();
      }
    }
  }
  return 0;
}
