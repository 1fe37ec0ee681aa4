// The first byte chooses the link type, the second how much of the frame was captured.
#include <cstdlib>

#include "guest/packets/decode.h"
#include "guest/testing/message_builder.h"

using namespace outguard::guest;

namespace {
constexpr LinkType kLinks[] = {LinkType::Ethernet, LinkType::Raw,         LinkType::Null,
                               LinkType::RawV4,    LinkType::LinuxCooked, LinkType::LinuxCooked2,
                               LinkType::RawV6,    LinkType::Loop};
} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const auto a = endpoint("10.0.0.1:1");
  const auto b = endpoint("10.0.0.2:2");
  const auto c = endpoint("[2001:db8::1]:1");
  const auto d = endpoint("[2001:db8::2]:2");
  std::vector<Bytes> seeds;
  for (const auto &frame :
       {PacketBuilder(a, b).tcp(2, 1).vlan(1, 0x88a8).vlan(2).ip_options(Bytes(8, 1)).build(),
        PacketBuilder(a, b).udp().payload("x").trailer(20).build(),
        PacketBuilder(a, b).icmp(8, 0).build(),
        PacketBuilder(c, d).udp().extension(0, Bytes(6, 0)).extension(51, Bytes(10, 0)).build(),
        PacketBuilder(c, d).tcp(16, 1).extension(44, {0, 1, 0, 0, 0, 9}).build()}) {
    seeds.push_back({0, 3});
    seeds.back().insert(seeds.back().end(), frame.begin(), frame.end());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  PacketView view;
  view.link = kLinks[data[0] % std::size(kLinks)];
  const std::span frame(data + 2, size - 2);
  view.bytes = frame.first(frame.size() - std::min<std::size_t>(data[1] / 8U, frame.size()));
  view.original_length = static_cast<std::uint32_t>(frame.size());
  if (data[1] % 2 == 1) {
    view.outer_tag = VlanTag{data[0], 0x8100};
  }
  DecodedPacket out;
  if (decode(view, out)) {
    return 0;
  }
  const bool inside = out.payload.empty() || (out.payload.data() >= view.bytes.data() &&
                                              out.payload.data() + out.payload.size() <=
                                                  view.bytes.data() + view.bytes.size());
  if (!inside || out.payload.size() > out.payload_length || out.vlan_count > kMaxVlanTags) {
    std::abort();
  }
  return 0;
}
