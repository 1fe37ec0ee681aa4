#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "respond/reset_frames.h"

namespace outguard::respond {
namespace {

FlowSeen flow(const std::string &local, const std::string &remote, IpProtocol protocol) {
  FlowSeen seen;
  seen.tuple = {static_cast<std::uint8_t>(protocol), *Endpoint::parse(local),
                *Endpoint::parse(remote)};
  seen.guest_mac = {2, 0, 0, 0, 0, 1};
  seen.remote_mac = {2, 0, 0, 0, 0, 2};
  return seen;
}
std::uint32_t number(std::span<const std::uint8_t> bytes, std::size_t at, std::size_t length) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < length; ++i) {
    value = value << 8 | bytes[at + i];
  }
  return value;
}
/// One's complement sum as RFC 1071 has it, written in another way than the product's.
std::uint16_t sum(std::span<const std::uint8_t> bytes, std::uint32_t start) {
  std::uint64_t total = start;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    total += number(bytes, i, 2);
  }
  total += bytes.size() % 2 != 0 ? std::uint64_t{bytes.back()} << 8 : 0;
  return static_cast<std::uint16_t>(total % 0xffff);
}
/// Checks all checksums of a packet without its link layer: a right one makes the sum 0 modulo
/// 0xffff.
void expect_checksums(std::span<const std::uint8_t> packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const std::size_t header = v4 ? 20 : 40;
  if (v4) {
    EXPECT_EQ(sum(packet.first(header), 0), 0) << "IPv4 header";
    EXPECT_EQ(number(packet, 2, 2), packet.size());
  } else {
    EXPECT_EQ(number(packet, 4, 2), packet.size() - header);
  }
  const auto payload = packet.subspan(header);
  const std::uint8_t protocol = packet[v4 ? 9 : 6];
  const auto addresses = v4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  const std::uint32_t pseudo =
      protocol == static_cast<std::uint8_t>(IpProtocol::Icmp)
          ? 0U
          : sum(addresses, protocol + static_cast<std::uint32_t>(payload.size()));
  EXPECT_EQ(sum(payload, pseudo), 0) << "protocol " << int{protocol};
}

constexpr TcpPosition kBoth{1000, 2000, true, true};

TEST(ResetFrames, EachEndGetsItsExactNextNumber) {
  const auto seen = flow("10.0.0.2:4000", "203.0.113.9:443", IpProtocol::Tcp);
  const auto to_guest = tcp_reset(seen, kBoth, Toward::Guest);
  ASSERT_TRUE(to_guest);
  EXPECT_TRUE(std::equal(seen.guest_mac.begin(), seen.guest_mac.end(), to_guest->begin()));
  const auto packet = network_layer(seen, *to_guest);
  expect_checksums(packet);
  EXPECT_EQ(number(packet, 12, 4), 0xcb007109U); // from the remote end
  EXPECT_EQ(number(packet, 20, 2), 443U);
  EXPECT_EQ(number(packet, 22, 2), 4000U);
  EXPECT_EQ(number(packet, 24, 4), 2000U);
  EXPECT_EQ(number(packet, 28, 4), 1000U);
  EXPECT_EQ(packet[33], 0x14); // RST, ACK
  const auto to_remote = tcp_reset(seen, kBoth, Toward::Remote);
  ASSERT_TRUE(to_remote);
  const auto back = network_layer(seen, *to_remote);
  expect_checksums(back);
  EXPECT_EQ(number(back, 24, 4), 1000U);
  EXPECT_EQ(number(back, 28, 4), 2000U);
}

TEST(ResetFrames, AHandshakeWithoutAnswerIsResetByAcknowledgingIt) {
  const auto seen = flow("10.0.0.2:4000", "203.0.113.9:443", IpProtocol::Tcp);
  const auto frame = tcp_reset(seen, {1000, 0, true, false}, Toward::Guest);
  ASSERT_TRUE(frame);
  const auto packet = network_layer(seen, *frame);
  EXPECT_EQ(number(packet, 24, 4), 0U);
  EXPECT_EQ(number(packet, 28, 4), 1000U);
  EXPECT_EQ(packet[33], 0x14);
  const auto remote = tcp_reset(seen, {1000, 0, true, false}, Toward::Remote);
  ASSERT_TRUE(remote);
  EXPECT_EQ(network_layer(seen, *remote)[33], 0x04) << "no ACK of an unknown number";
}

TEST(ResetFrames, NothingIsMadeUp) {
  const auto seen = flow("10.0.0.2:4000", "203.0.113.9:443", IpProtocol::Tcp);
  EXPECT_FALSE(tcp_reset(seen, {}, Toward::Guest));
  EXPECT_FALSE(tcp_reset(seen, {}, Toward::Remote));
  EXPECT_FALSE(tcp_reset(seen, {0, 2000, false, true}, Toward::Remote));
}

TEST(ResetFrames, Ipv6AndVlanTags) {
  auto seen = flow("[2001:db8::2]:4000", "[2001:db8::1]:443", IpProtocol::Tcp);
  seen.vlans = {100, 200};
  const auto frame = tcp_reset(seen, kBoth, Toward::Guest);
  ASSERT_TRUE(frame);
  EXPECT_EQ(number(*frame, 12, 4), 0x88a80064U);
  EXPECT_EQ(number(*frame, 16, 4), 0x810000c8U);
  EXPECT_EQ(number(*frame, 20, 2), 0x86ddU);
  expect_checksums(network_layer(seen, *frame));
}

TEST(ResetFrames, UnreachableAndEmptyDatagrams) {
  for (const auto &seen : {flow("10.0.0.2:4000", "203.0.113.9:53", IpProtocol::Udp),
                           flow("[2001:db8::2]:4000", "[2001:db8::1]:53", IpProtocol::Udp)}) {
    const auto icmp = network_layer(seen, port_unreachable(seen));
    expect_checksums(icmp);
    const std::size_t header = seen.tuple.local.address.family == IpFamily::V4 ? 20 : 40;
    expect_checksums(std::span(icmp).subspan(header + 8)); // the quoted datagram
    expect_checksums(network_layer(seen, empty_datagram(seen)));
  }
}

} // namespace
} // namespace outguard::respond
