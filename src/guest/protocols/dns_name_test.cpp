// Names down to each byte: where pointers may lead, and where a name ends.
#include <gtest/gtest.h>

#include "guest/protocols/dns_name.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

class DnsNameTest : public testing::Test {
protected:
  /// The name at `start` of a message that has `body` behind its header, `start` counted from
  /// there; only what is before `window` belongs to it before a pointer.
  DnsNameEnd read(const Bytes &body, std::size_t start, std::size_t window) {
    Bytes message(kDnsHeader, 0);
    message.insert(message.end(), body.begin(), body.end());
    ByteCursor cursor(std::span<const std::uint8_t>(message).first(kDnsHeader + window));
    EXPECT_TRUE(cursor.skip(kDnsHeader + start));
    const auto end = read_dns_name(message, cursor, name_);
    behind_ = cursor.position() - kDnsHeader;
    return end;
  }
  DnsNameEnd read(const Bytes &body, std::size_t start = 0) {
    return read(body, start, body.size());
  }
  static constexpr std::uint8_t to(std::size_t at) {
    return static_cast<std::uint8_t>(kDnsHeader + at);
  }
  std::string name_;
  std::size_t behind_ = 0;
};

TEST_F(DnsNameTest, EndsBehindItsFirstPointer) {
  const Bytes body{1, 'A', 0, 0xc0, to(0), 1, 'b', 0xc0, to(3), 9};
  EXPECT_EQ(read(body, 5), DnsNameEnd::Complete);
  EXPECT_EQ(name_, "b.a");
  EXPECT_EQ(behind_, 9U);
  EXPECT_EQ(read(body), DnsNameEnd::Complete);
  EXPECT_EQ(behind_, 3U);
}

TEST_F(DnsNameTest, EveryPointerLeadsBeforeAllItCameFrom) {
  EXPECT_EQ(read({1, 'a', 0xc0, to(4), 1, 'b', 0, 0, 0xc0, to(0)}, 8), DnsNameEnd::Malformed)
      << "forwards again, if only a little";
  EXPECT_EQ(read({0xc0, to(0)}), DnsNameEnd::Malformed);
}

TEST_F(DnsNameTest, PointersAreCounted) {
  Bytes body{1, 'a', 0};
  body.insert(body.end(), {0xc0, to(0)});
  while (body.size() < 3 + 2 * 33) {
    const auto before = to(body.size() - 2);
    body.insert(body.end(), {0xc0, before});
  }
  EXPECT_EQ(read(body, body.size() - 4), DnsNameEnd::Complete) << "32";
  EXPECT_EQ(read(body, body.size() - 2), DnsNameEnd::Malformed) << "33";
}

TEST_F(DnsNameTest, WhatIsCutOffIsNotMalformed) {
  const Bytes name{3, 'a', 'b', 'c', 1, 'd', 0};
  for (std::size_t window = 0; window < name.size(); ++window) {
    EXPECT_EQ(read(name, 0, window), DnsNameEnd::CutOff) << window;
  }
  EXPECT_EQ(read({0, 0xc0, to(0)}, 1, 2), DnsNameEnd::CutOff) << "half a pointer";
  EXPECT_EQ(read({9, 'a', 0xc0, to(0)}, 2), DnsNameEnd::Malformed)
      << "what a pointer leads to is here, or nowhere";
}

TEST_F(DnsNameTest, APointerLeadsIntoTheWholeMessage) {
  EXPECT_EQ(read({5, 'a', 'b', 0xc0, to(0), 'c', 0}, 3, 5), DnsNameEnd::Complete);
  EXPECT_EQ(name_, "ab\\192\\012c");
}

TEST_F(DnsNameTest, LengthsBetweenLabelsAndPointersAreNone) {
  for (const std::uint8_t length : Bytes{64, 128, 191}) {
    Bytes body(200, 'a');
    body[0] = length;
    body[1U + length] = 0;
    EXPECT_EQ(read(body), DnsNameEnd::Malformed) << int{length};
  }
}

} // namespace
} // namespace outguard::guest
