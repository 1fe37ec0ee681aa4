#include <bit>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "guest/packets/flow_slots.h"
#include "guest/packets/tuple_hash.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

DecodedPacket packet_between(const Endpoint &source, const Endpoint &destination) {
  DecodedPacket packet;
  packet.source = source;
  packet.destination = destination;
  packet.protocol = 6;
  return packet;
}

Endpoint endpoint6(std::uint32_t number) {
  Endpoint end = endpoint("[2001:db8::]:443");
  std::memcpy(end.address.bytes.data() + 12, &number, sizeof number);
  return end;
}

/// Packets that differ in one thing each from the first one.
std::vector<DecodedPacket> neighbours(const DecodedPacket &first) {
  std::vector<DecodedPacket> all{first};
  const std::size_t octets = first.source.address.octets().size();
  for (std::size_t bit = 0; bit < 8 * octets; ++bit) {
    for (Endpoint DecodedPacket::*end : {&DecodedPacket::source, &DecodedPacket::destination}) {
      auto &byte = (all.emplace_back(first).*end).address.bytes[bit / 8];
      byte = static_cast<std::uint8_t>(byte ^ 1U << bit % 8);
    }
  }
  for (unsigned bit = 0; bit < 16; ++bit) {
    for (Endpoint DecodedPacket::*end : {&DecodedPacket::source, &DecodedPacket::destination}) {
      auto &port = (all.emplace_back(first).*end).port;
      port = static_cast<std::uint16_t>(port ^ 1U << bit);
    }
  }
  for (unsigned bit = 0; bit < 8; ++bit) {
    auto &protocol = all.emplace_back(first).protocol;
    protocol = static_cast<std::uint8_t>(protocol ^ 1U << bit);
  }
  for (unsigned bit = 0; bit < 32; ++bit) {
    all.emplace_back(first).network ^= 1U << bit;
  }
  if (first.source.address != first.destination.address) { // else they are the same ends
    auto &crossed = all.emplace_back(first);
    std::swap(crossed.source.port, crossed.destination.port);
  }
  return all;
}

class TupleHashTest : public testing::TestWithParam<DecodedPacket> {
protected:
  TupleHash hash_{{7, 11}};
};

TEST_P(TupleHashTest, BothDirectionsAreOne) {
  for (const auto &packet : neighbours(GetParam())) {
    auto back = packet;
    std::swap(back.source, back.destination);
    EXPECT_EQ(hash_(back), hash_(packet));
  }
}

TEST_P(TupleHashTest, EveryBitOfATupleCounts) {
  std::set<std::uint32_t> seen;
  const auto all = neighbours(GetParam());
  for (const auto &packet : all) {
    seen.insert(hash_(packet));
  }
  EXPECT_EQ(seen.size(), all.size()); // some 3e4 pairs at 2^-31 each, and always these keys
}

TEST_P(TupleHashTest, WhatIsNoPartOfATupleDoesNot) {
  auto other = GetParam();
  other.sequence = 77;
  other.tcp_flags = tcp_flag::kRst;
  other.timestamp_ns = 5;
  other.vlan_count = 1;
  EXPECT_EQ(hash_(other), hash_(GetParam()));
}

TEST_P(TupleHashTest, TheSeedDecides) {
  EXPECT_EQ(TupleHash({7, 11})(GetParam()), hash_(GetParam()));
  EXPECT_NE(TupleHash({7, 12})(GetParam()), hash_(GetParam()));
  EXPECT_NE(TupleHash({8, 11})(GetParam()), hash_(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    Families, TupleHashTest,
    testing::Values(packet_between(endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:443")),
                    packet_between(endpoint("10.0.0.1:40000"), endpoint("10.0.0.1:443")),
                    packet_between(endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:443")),
                    packet_between(endpoint6(1), endpoint("[2001:db8::1:0:0]:40000"))));

/// Rows of ports and addresses, powers of two apart: what an attacker would try, and what scans do.
TEST(TupleHash, RowsOfTuplesSpread) {
  constexpr std::uint32_t kFlows = 1U << 14;
  constexpr std::uint32_t kBuckets = 1U << 15;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const TupleHash hash({seed, 3});
    for (unsigned shift = 0; shift <= 18; shift += 3) {
      std::vector<std::uint32_t> load(kBuckets);
      for (std::uint32_t i = 0; i < kFlows; ++i) {
        auto packet = packet_between(endpoint("0.0.0.0:443"), endpoint("255.255.255.255:443"));
        const std::uint32_t address = std::rotl(i, static_cast<int>(shift));
        std::memcpy(packet.source.address.bytes.data(), &address, sizeof address);
        ++load[hash(packet) % kBuckets];
      }
      std::uint64_t pairs = 0;
      for (const std::uint64_t count : load) {
        pairs += count * (count - 1) / 2;
      }
      EXPECT_LT(pairs, kFlows / 2) << seed << ' ' << shift; // by chance a quarter
    }
  }
}

TEST(FlowSlots, AllStayFindableThroughGrowthAndRemoval) {
  FlowSlots slots;
  const auto is = [](std::uint32_t wanted) {
    return [wanted](std::uint32_t place) { return place == wanted; };
  };
  const auto hash_of = [](std::uint32_t place) { return place % 7 == 0 ? 5 : place * 40503 / 9; };
  constexpr std::uint32_t kPlaces = 3000;
  for (std::uint32_t place = 1; place <= kPlaces; ++place) {
    slots.add(hash_of(place), place);
  }
  for (std::uint32_t place = 2; place <= kPlaces; place += 2) {
    slots.remove(hash_of(place), place);
  }
  for (std::uint32_t place = 1; place <= kPlaces; ++place) {
    EXPECT_EQ(slots.find(hash_of(place), is(place)), place % 2 == 0 ? 0 : place);
    EXPECT_EQ(slots.find(hash_of(place) + 1, is(place)), 0U);
  }
}

} // namespace
} // namespace outguard::guest
