// Feeds any bytes to the list parser and checks that its counts agree with what it handed out.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "intel/list_parser.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr std::string_view kLines[] = {
      "\xef\xbb\xbf# list\r\n45.9.20.7\r\n45.9.20.0/24\r\n[2606:4700::1]:443\r\n*.evil.com.\r\n",
      "0.0.0.0 a.com b.com\n127.0.0.1 localhost\nhttp://u@evil.com:80/a?b#c\nevil.com/x ; y\n",
      "10.0.0.1\n0.0.0.0/0\n::ffff:1.2.3.4/120\n1.2.3.4:0\nevil.com:80\nftp://x.com/\n",
  };
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto lines : kLines) {
    seeds.emplace_back(lines.begin(), lines.end());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace outguard::intel;
  for (const auto policy : {ReservedPolicy::Refuse, ReservedPolicy::Allow}) {
    std::uint64_t taken = 0;
    const auto report = parse_list("fuzz", {data, size}, policy,
                                   [&](const FeedIndicator &indicator, std::uint32_t) {
                                     const auto &key = indicator.key;
                                     if (!key_text(key.type, key.prefix, key.bytes)) {
                                       std::abort();
                                     }
                                     ++taken;
                                     return Taken::Accepted;
                                   });
    std::uint64_t rejected = 0;
    for (const auto &reason : report.reasons) {
      rejected += reason.count;
    }
    if (taken != report.accepted || rejected != report.rejected) {
      std::abort();
    }
  }
  return 0;
}
