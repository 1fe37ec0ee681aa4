// Feeds any bytes to the pattern parser, and to the JSON reader within a bundle of good form.
#include "intel/feeds/feeds_fuzzing.h"
#include "intel/feeds/stix_parser.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return outguard::intel::seeds_of({
      "[domain-name:value = 'evil.com' OR ipv4-addr:value ISSUBSET '45.9.20.0/24']",
      R"(([network-traffic:dst_ref.value = '45.9.20.7' AND
         network-traffic:dst_port IN (443, 8443)]) REPEATS 2 TIMES)",
      "[file:hashes.'SHA-256' = '0123'] FOLLOWEDBY [a:b[*].c NOT LIKE 'x%'] WITHIN 5.5 SECONDS",
      "[a:b = t'2020-01-01T00:00:00Z'] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00Z'",
      R"({"type":"bundle","objects":[{"type":"indicator","id":"i","labels":["x"],"confidence":5,
         "modified":"2024-01-01T00:00:00Z","pattern":"[domain-name:value = 'a.com']",
         "revoked":false}]})",
  });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using outguard::intel::FeedFormat;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const auto parsed = outguard::intel::parse_stix_pattern(text);
  for (const auto &one : parsed.value_or(std::vector<outguard::intel::StixAlternative>{})) {
    std::string why;
    if (!indicator_of(one, outguard::intel::ReservedPolicy::Refuse, why) && why.empty()) {
      std::abort();
    }
  }
  outguard::intel::check_feed("fuzz.json", {data, size}, FeedFormat::Json);
  return 0;
}
