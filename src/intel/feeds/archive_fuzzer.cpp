// Feeds any bytes to the unpackers, with limits that a fuzzer reaches.
#include "intel/feeds/archive.h"
#include "intel/feeds/archive_testing.h"
#include "intel/feeds/feeds_fuzzing.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  using namespace outguard::intel;
  ZipMaker zip;
  zip.add("a.txt", "evil.com\n").add("b", "evil.net\n", ZipMaker::Stored);
  return {packed_gzip("evil.com\n"), zip.finish("comment")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace outguard::intel;
  UnpackLimits limits;
  limits.most_bytes = std::size_t{4} << 20;
  limits.most_members = 8;
  for (const auto packing : {Packing::Gzip, Packing::Xz, Packing::Zstd}) {
    const auto unpacked = unpack(packing, {data, size}, limits);
    if (unpacked && unpacked->size() > limits.most_bytes) {
      std::abort();
    }
  }
  std::size_t total = 0;
  const auto problem = unpack_zip(
      {data, size},
      [&](const std::string &, const Unpacked &bytes) { total += bytes ? bytes->size() : 0; },
      limits);
  if (total > limits.most_bytes) {
    std::abort();
  }
  check_feed("fuzz", {data, size}, std::nullopt);
  return 0;
}
