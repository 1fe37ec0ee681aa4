// Feeds any bytes to the parsers of Zeek files, Suricata sets, filter lists and zones, and to the
// one that finds out which.
#include "intel/feeds/feeds_fuzzing.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return outguard::intel::seeds_of({
      "#fields\tindicator\tindicator_type\tmeta.desc\nevil.com\tIntel::DOMAIN\t-\n45.9.20.0/"
      "24\tIntel::SUBNET\tx\n",
      "ZXZpbC5jb20=\nYmFkLmV2aWwuY29t,10\n",
      "! x\n||evil.com^\n@@||good.com^\n||a.com^$script\na.com##b\n",
      "$ORIGIN rpz.sample.\n@ SOA a. b. (\n1 2 3 4 5 )\nevil.com CNAME .\n*.evil.com IN 60 CNAME "
      "rpz-drop.\n24.0.20.9.45.rpz-ip CNAME .\n128.1.zz.4700.2606.rpz-ip CNAME .\n",
  });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using outguard::intel::FeedFormat;
  for (const auto format :
       {FeedFormat::ZeekIntel, FeedFormat::SuricataDataset, FeedFormat::AdGuard, FeedFormat::Rpz}) {
    outguard::intel::check_feed("fuzz", {data, size}, format);
  }
  outguard::intel::check_feed("fuzz", {data, size}, std::nullopt);
  return 0;
}
