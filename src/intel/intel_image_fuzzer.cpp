// Opens a mutated index image, with its size and checksum put right so that the checks behind them
// are reached too, and makes every kind of look-up in it, alone and as the delta of a sound one.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "intel/intel_compiler.h"
#include "intel/intel_set.h"

namespace {

using namespace outguard;
using namespace outguard::intel;

constexpr HashSeed kSeed{1, 0x9e3779b97f4a7c15};
constexpr Seconds kNow = 1'700'000'000;
constexpr std::string_view kMd5 = "00112233445566778899aabbccddeeff";

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

void look_up(const IntelSet &set) {
  const auto read = [&](IndicatorId id) {
    (void)set.hit(id);
    (void)set.sources(id);
  };
  for (const auto now : {kNow, kAnyTime}) {
    for (const auto *name : {"www.evil.com", "evil.com", "b.com", "a.b.com", "good.com"}) {
      set.match_domain(name, now, read);
    }
    set.match_domain(std::string(kMaxNameBytes, '.'), now, read);
    for (const auto *address : {"45.9.20.7", "45.9.21.7", "2606:4700::1", "10.1.2.3"}) {
      set.match_address(IpAddress::parse(address).value_or(IpAddress{}), now, read);
    }
    set.match_endpoint(Endpoint::parse("45.9.20.7:443").value_or(Endpoint{}), now, read);
    set.match_url("http://evil.com/x", now, read);
    set.match_url("http://evil.com/x/y/index.php?q=1", now, read);
    set.match_fingerprint(IndicatorType::FileMd5, kMd5, now, read);
  }
  for (const auto *value : {"evil.com", "10.1.2.3", "http://evil.com/x", "a.good.com"}) {
    (void)set.explain(value, kNow);
  }
  for (const std::uint32_t id : {0U, 1U, 5U, 1U << 31, UINT32_MAX}) {
    read(IndicatorId{id});
  }
}

void look_up(const IntelImage &image) {
  static const auto kSound = [] {
    IntelCompiler compiler(kSeed);
    (void)compiler.add_feed("sound", as_bytes("evil.com\n45.9.20.7\nhttp://evil.com/x\n"));
    return compiler.compile().image;
  }();
  const auto given = std::make_shared<const IntelImage>(image);
  look_up(IntelSet(given));
  if (const auto sound = IntelImage::open(kSound)) {
    look_up(IntelSet(std::make_shared<const IntelImage>(*sound), given));
  }
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  IntelCompiler compiler(kSeed);
  (void)compiler.add_feed("hosts", as_bytes("0.0.0.0 evil.com b.com\n"));
  (void)compiler.add_feed("feed",
                          as_bytes("evil.com\n45.9.20.0/24\n45.9.20.7\n45.9.20.7:443\n"
                                   "b.com\n2606:4700::/32\nevil.com/x\nhttp://evil.com/x\n"));
  (void)compiler.add_feed("allow", as_bytes("10.0.0.0/8\ngood.com\n"), ReservedPolicy::Allow,
                          Role::Allowed);
  (void)compiler.add_feed("removed", as_bytes("evil.com\n"), ReservedPolicy::Allow, Role::Removed);
  if (const auto sink = compiler.add_source("said")) {
    FeedIndicator full;
    full.key = {IndicatorType::Url, 0, "http://evil.com/x/"};
    full.scope = MatchScope::Prefix;
    full.about = {"id", "about", {"a", "b"}, Tlp::Red, 1, 1, 2, 3};
    full.valid_until = kNow + 1;
    (void)(*sink)(full, 1);
    full.key = {IndicatorType::UrlPath, 0, "/x/y/index.php"};
    (void)(*sink)(full, 2);
    full.key = {IndicatorType::FileMd5, 0, std::string(kMd5)};
    (void)(*sink)(full, 3);
  }
  IntelCompiler many(kSeed);
  std::string networks;
  for (std::size_t i = 0; i < kLengthsManyFrom; ++i) {
    networks += "45." + std::to_string(i) + ".0.0/16\n";
  }
  (void)many.add_feed("networks", as_bytes(networks));
  IndexBuilder small(kSeed);
  const auto source = small.add_source("s").value_or(0);
  (void)small.add({{IndicatorType::Domain, 0, "evil.com"}, MatchScope::Exact, 0, 0, {}}, source, 1);
  return {compiler.compile().image, small.build().value_or(std::vector<std::uint8_t>{}),
          many.compile().image};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::vector<std::uint8_t> image(data, data + size);
  if (const auto opened = IntelImage::open(image)) {
    (void)opened->verify();
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
  header.checksum = header_checksum(header);
  std::memcpy(image.data(), &header, sizeof header);
  if (const auto opened = IntelImage::open(image)) {
    look_up(*opened);
  }
  return 0;
}
