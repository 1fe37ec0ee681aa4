// Opens a mutated index image, with its size and checksum put right so that the checks behind them
// are reached too, and makes every kind of look-up in it.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "intel/intel_compiler.h"
#include "intel/intel_image.h"

namespace {

using namespace outguard;
using namespace outguard::intel;

void look_up(const IntelImage &image) {
  const auto read = [&](IndicatorId id) {
    (void)image.hit(id);
    (void)image.sources(id);
  };
  for (const auto *name : {"www.evil.com", "evil.com", "b.com", "a.b.com"}) {
    image.match_domain(name, read);
  }
  image.match_domain(std::string(kMaxNameBytes, '.'), read);
  for (const auto *address : {"45.9.20.7", "45.9.21.7", "2606:4700::1"}) {
    image.match_address(IpAddress::parse(address).value_or(IpAddress{}), read);
  }
  image.match_endpoint(Endpoint::parse("45.9.20.7:443").value_or(Endpoint{}), read);
  image.match_url("http://evil.com/x", read);
  for (const std::uint32_t id : {0U, 1U, 5U, UINT32_MAX}) {
    read(IndicatorId{id});
  }
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr std::string_view kFeed = "evil.com\n45.9.20.0/24\n45.9.20.7\n45.9.20.7:443\nb.com\n"
                                     "2606:4700::/32\nevil.com/x\nhttp://evil.com/x\n";
  constexpr std::string_view kHosts = "0.0.0.0 evil.com b.com\n";
  const auto bytes = [](std::string_view text) {
    return std::span(reinterpret_cast<const std::uint8_t *>(text.data()), text.size());
  };
  IndexBuilder small({1, 0x9e3779b97f4a7c15});
  const auto source = small.add_source("s").value_or(0);
  (void)small.add({IndicatorType::Domain, 0, "evil.com"}, {source, 1});
  IntelCompiler compiler({1, 0x9e3779b97f4a7c15});
  (void)compiler.add_feed("hosts", bytes(kHosts));
  (void)compiler.add_feed("feed", bytes(kFeed));
  return {compiler.compile().image, small.build().value_or(std::vector<std::uint8_t>{})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::vector<std::uint8_t> image(data, data + size);
  if (const auto opened = IntelImage::open(image)) {
    look_up(*opened);
  }
  ImageHeader header;
  if (image.size() < sizeof header) {
    return 0;
  }
  std::memcpy(&header, image.data(), sizeof header);
  header.magic = kImageMagic;
  header.version = kImageVersion;
  header.header_bytes = sizeof header;
  header.image_bytes = image.size();
  std::memcpy(image.data(), &header, sizeof header);
  header.checksum = image_checksum({reinterpret_cast<const char *>(image.data()), image.size()});
  std::memcpy(image.data(), &header, sizeof header);
  if (const auto opened = IntelImage::open(image)) {
    look_up(*opened);
  }
  return 0;
}
