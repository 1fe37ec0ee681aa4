// The first byte chooses the link type, the second how much of the frame was captured. What is
// inside is decoded too.
#include <cstdlib>

#include "guest/packets/decode_test_agreement.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/wrapping_builder.h"

using namespace outguard::guest;
using outguard::TunnelKind;

namespace {
constexpr LinkType kLinks[] = {LinkType::Ethernet, LinkType::Raw,         LinkType::Null,
                               LinkType::RawV4,    LinkType::LinuxCooked, LinkType::LinuxCooked2,
                               LinkType::RawV6,    LinkType::Loop};

void check(const DecodedPacket &packet, std::span<const std::uint8_t> bytes) {
  const auto &payload = packet.payload;
  const bool inside =
      payload.empty() || (payload.data() >= bytes.data() &&
                          payload.data() + payload.size() <= bytes.data() + bytes.size());
  if (!inside || payload.size() > packet.payload_length || packet.vlan_count > kMaxVlanTags ||
      packet.tunnels.kinds().size() > kMaxTunnels) {
    std::abort();
  }
}
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
  for (const auto &frame : {PacketBuilder(a, b).tcp(16, 1).payload("plain").build(),
                            PacketBuilder(c, d).tcp(16, 1).payload("plain").vlan(5).build()}) {
    seeds.push_back({0, 2});
    seeds.back().insert(seeds.back().end(), frame.begin(), frame.end());
  }
  const auto ip = PacketBuilder(a, b).udp().payload("x").without_link().build();
  const auto ip6 = PacketBuilder(c, d).udp().payload("x").without_link().build();
  const auto whole = PacketBuilder(a, b).udp().payload("x").vlan(3).build();
  const auto vxlan = endpoint("10.0.0.2:4789");
  for (const auto &frame :
       {in_mpls({16, 17}, ip), in_mpls({16}, whole), in_pppoe(1, ip6), in_ip(a, b, ip6),
        in_ip(c, d, ip), in_gre(a, b, 0xb000, 0x0800, ip), in_gre(a, b, 0x2000, 0x6558, whole),
        in_gre(a, b, 0x3001, 0x880b, {0xff, 3, 0, 0x57}), in_vxlan(a, vxlan, 5, whole),
        in_vxlan(a, vxlan, 5, in_vxlan(a, vxlan, 6, in_mpls({1}, ip))),
        in_geneve(a, endpoint("10.0.0.2:6081"), 5, Bytes(8, 1), 0x6558, whole),
        in_teredo(a, endpoint("10.0.0.2:3544"), ip6, true), fragment_of(in_ip(a, b, ip), 8, 24)}) {
    seeds.push_back({0, 2});
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
  view.checksums_filled = data[1] % 4 == 3;
  view.direction =
      view.checksums_filled ? std::optional(outguard::FlowDirection::ToRemote) : std::nullopt;
  if (!decoders_agree(view)) {
    std::abort();
  }
  DecodedPacket out;
  if (decode(view, out)) {
    return 0;
  }
  check(out, view.bytes);
  if (out.is_fragment) {
    DecodedPacket joined;
    if (!decode_joined(out, out.protocol, out.payload, joined)) {
      check(joined, view.bytes);
    }
  }
  for (std::size_t depth = 0; out.tunnel != TunnelKind::None; ++depth) {
    DecodedPacket inner;
    if (decode_inner(out, inner)) {
      break;
    }
    check(inner, out.payload);
    out = inner;
    if (depth > kMaxTunnels) {
      std::abort();
    }
  }
  return 0;
}
