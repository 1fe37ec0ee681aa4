#include <cstdlib>

#include "guest/protocols/certificate.h"
#include "guest/protocols/certificate_test_builder.h"
#include "guest/protocols/recording_test_sink.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {certificate({.common_name = "a.example"}), certificate({}),
          certificate({.common_name = "a.example",
                       .alternative_names = "DNS:b.example,IP:192.0.2.1,DNS:*.c.example"})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string scratch;
  RecordingSink sink;
  const auto untold = observe_certificate_names({data, size}, scratch, sink);
  if (sink.seen.size() > kMostCertificateNames ||
      (untold > 0 && sink.seen.size() < kMostCertificateNames)) {
    std::abort();
  }
  for (const auto &text : sink.seen) {
    if (text.size() > 1100) { // 255 bytes, each escaped, and the kind
      std::abort();
    }
  }
  return 0;
}
