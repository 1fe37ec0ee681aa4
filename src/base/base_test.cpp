#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ip_address.h"
#include "base/message_socket.h"

namespace outguard {
namespace {

using std::chrono::milliseconds;

TEST(IpAddress, TextRoundTrip) {
  for (const char *text : {"10.0.0.1", "255.255.255.255", "::1", "2001:db8::7", "::ffff:1.2.3.4"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  for (const char *text :
       {"", "1.2.3", "1.2.3.4 ", "01.2.3.4", "fe80::1%eth0", ":::", "1.2.3.4.5"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, ReadsWhatTheSystemReads) {
  const std::string_view parts[] = {"0",   "1",       "00", "01", "9", "255",
                                    "256", "0000255", "",   " 1", "a", "-1"};
  const std::string_view ends[] = {"", ".", ".1", ":", " ", "/8"};
  std::size_t good = 0;
  for (const auto a : parts) {
    for (const auto b : parts) {
      for (const auto c : parts) {
        for (const auto end : ends) {
          const auto text = fmt::format("{}.{}.7.{}{}", a, b, c, end);
          in_addr system{};
          const bool is_sound = inet_pton(AF_INET, text.c_str(), &system) == 1;
          const auto address = IpAddress::parse(text);
          ASSERT_EQ(address.has_value(), is_sound) << text;
          good += is_sound ? 1 : 0;
          if (is_sound) {
            EXPECT_EQ(std::memcmp(address->bytes.data(), &system, sizeof system), 0) << text;
          }
        }
      }
    }
  }
  EXPECT_EQ(good, 64U);
}

TEST(IpAddress, MappedBecomesV4AndOthersStay) {
  EXPECT_EQ(IpAddress::parse("::ffff:1.2.3.4")->unmapped().to_string(), "1.2.3.4");
  EXPECT_EQ(IpAddress::parse("2001:db8::1")->unmapped().to_string(), "2001:db8::1");
}

TEST(Endpoint, TextRoundTrip) {
  for (const char *text : {"10.0.0.1:80", "[::1]:65535", "0.0.0.0:0"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  for (const char *text :
       {"10.0.0.1", "10.0.0.1:65536", "::1:80", "[10.0.0.1]:80", ":80", "[::1]:"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(Clock, AWallClockThatWasSetIsNoticedOnce) {
  using std::chrono::milliseconds;
  WallClockWatch watch;
  const WallTime wall{std::chrono::seconds(1'700'000'000)};
  const MonotonicTime monotonic{std::chrono::seconds(1000)};
  EXPECT_FALSE(watch.was_set(wall, monotonic));
  EXPECT_FALSE(watch.was_set(wall + milliseconds(10'000), monotonic + milliseconds(10'001)));
  EXPECT_TRUE(watch.was_set(wall - milliseconds(2000), monotonic + milliseconds(20'000)));
  EXPECT_FALSE(watch.was_set(wall - milliseconds(1000), monotonic + milliseconds(21'000)));
  EXPECT_TRUE(watch.was_set(wall + milliseconds(60'000), monotonic + milliseconds(22'000)));
  for (int second = 1; second < 60; ++second) { // drift alone, of 1 ms in a second, adds up
    const bool was = watch.was_set(wall + milliseconds(60'000 + second * 999),
                                   monotonic + milliseconds(22'000 + second * 1000));
    EXPECT_EQ(was, second % 5 == 0) << second;
  }
}

TEST(Clock, TheEarliestAndLatestTimesHaveTimestamps) {
  EXPECT_EQ(rfc3339_timestamp(WallTime::min()), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(rfc3339_timestamp(WallTime::max()), "2262-04-11T23:47:16.854775807Z");
  EXPECT_EQ(eve_timestamp(WallTime(std::chrono::nanoseconds(-1))),
            "1969-12-31T23:59:59.999999+0000");
}

TEST(Clock, Timestamps) {
  const WallTime time{std::chrono::nanoseconds(1755800000017359123)};
  EXPECT_EQ(eve_timestamp(time), "2025-08-21T18:13:20.017359+0000");
  EXPECT_EQ(rfc3339_timestamp(time), "2025-08-21T18:13:20.017359123Z");
  EXPECT_EQ(parse_rfc3339("2025-08-21T18:13:20.017359123Z"), time);
  for (const char *other : {"", "2025-08-21", "2025-02-30T18:13:20.017359123Z",
                            "2025-08-21T18:13:20.017359123Z ", "2201-08-21T18:13:20.017359123Z"}) {
    EXPECT_FALSE(parse_rfc3339(other)) << other;
  }
}

TEST(MessageSocket, CarriesBytesAndDescriptors) {
  auto ends = MessageSocket::pair();
  ASSERT_TRUE(ends);
  auto &[left, right] = *ends;
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const Fd reading(pipe_ends[0]);
  Fd writing(pipe_ends[1]);
  const std::vector<std::uint8_t> bytes{1, 2, 3};
  const int raw = writing.get();
  ASSERT_TRUE(left.send(bytes, {&raw, 1}, milliseconds(100)));
  writing.reset();
  auto message = right.receive(milliseconds(100));
  ASSERT_TRUE(message);
  ASSERT_TRUE(*message);
  EXPECT_EQ((*message)->bytes, bytes);
  ASSERT_EQ((*message)->fds.size(), 1U);
  EXPECT_EQ(::write((*message)->fds[0].get(), "x", 1), 1);
  char got = 0;
  EXPECT_EQ(::read(reading.get(), &got, 1), 1);
  EXPECT_EQ(got, 'x');
}

TEST(MessageSocket, TellsNothingFromGone) {
  auto ends = MessageSocket::pair();
  ASSERT_TRUE(ends);
  const auto nothing = ends->second.receive(milliseconds(1));
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  { const auto dropped = std::move(ends->first); }
  const auto gone = ends->second.receive(milliseconds(1));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::Unreachable);
}

TEST(MessageSocket, RefusesWhatIsTooLarge) {
  auto ends = MessageSocket::pair();
  ASSERT_TRUE(ends);
  const std::vector<std::uint8_t> large(192 * 1024 + 1);
  EXPECT_FALSE(ends->first.send(large, {}, milliseconds(1)));
  MessageSocket narrow(std::move(ends->second).release(), 16);
  ASSERT_TRUE(ends->first.send(std::vector<std::uint8_t>(17), {}, milliseconds(1)));
  const auto cut = narrow.receive(milliseconds(1));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::InvalidInput);
}

} // namespace
} // namespace outguard
