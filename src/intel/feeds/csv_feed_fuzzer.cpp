// Feeds any bytes to the CSV and reputation parsers.
#include "intel/feeds/feeds_fuzzing.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return outguard::intel::seeds_of({
      R"(# "first_seen_utc","dst_ip","dst_port","malware"
"2021-01-17 07:30:05", "67.213.75.205","443","X"
)",
      R"(ioc_value,ioc_type,confidence_level,tags,valid_until
evil.com,domain,75,"a,tlp:red",2030-01-01
)",
      "# Listingdate,SHA1,Listingreason\nx,0123456789abcdef0123456789abcdef01234567,y\n",
      "45.9.20.7,1,127\r\n45.9.20.0/24,2,1\r\n",
      "domain;ip\n\"a\"\"b\";45.9.20.7\n",
      "\"Copy\nright\",\n0123456789abcdef0123456789abcdef,\"AIM\"\n",
  });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using outguard::intel::FeedFormat;
  for (const auto format : {FeedFormat::Csv, FeedFormat::SuricataReputation}) {
    outguard::intel::check_feed("fuzz.csv", {data, size}, format);
  }
  return 0;
}
