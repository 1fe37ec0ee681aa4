#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/hpack_huffman.h"
#include "guest/protocols/http2.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/split_test_run.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint8_t kHeaders = 1;
constexpr std::uint8_t kContinuation = 9;
constexpr std::uint8_t kEndHeaders = 4;

class Http2Test : public testing::Test {
protected:
  std::vector<std::string> seen(const Bytes &frames, std::size_t cut = 0) {
    const auto connection = Http2Connection::open(shared_);
    return seen_when_cut(frames, cut, [&](auto bytes, auto &sink) {
      last_ = connection->look(bytes, scratch_, sink);
      return last_;
    });
  }
  std::vector<std::string> seen_of_block(const Bytes &block) {
    return seen(http2_frame(kHeaders, kEndHeaders, block));
  }
  Http2Shared shared_;
  Look last_;
  std::string scratch_;
};

TEST_F(Http2Test, RequestsAtEveryCut) {
  const auto frames = http2_frames();
  for (std::size_t cut = 0; cut <= frames.size(); ++cut) {
    ASSERT_THAT(seen(frames, cut), ElementsAre("http-host name www.example.com",
                                               "http-url name http://www.example.com/",
                                               "http-host name www.example.com",
                                               "http-url name http://www.example.com/",
                                               "http-host name www.example.com",
                                               "http-url name https://www.example.com/index.html"))
        << cut;
  }
  EXPECT_EQ(shared_.connections, 0U);
}

TEST_F(Http2Test, UserAgentConnectAndHost) {
  EXPECT_THAT(seen_of_block(hpack_literal(":method", "POST") + hpack_literal(":path", "/x?y") +
                            hpack_literal("host", "A.Example:8080") +
                            hpack_literal("user-agent", "bot/1\x01 x")),
              ElementsAre("http-host name a.example", "http-url name http://a.example:8080/x?y",
                          "http-user-agent plain bot/1\\001 x"));
  EXPECT_THAT(seen_of_block(hpack_literal(":method", "CONNECT") +
                            hpack_literal(":authority", "c2.example:443")),
              ElementsAre("proxy-target name c2.example"));
  EXPECT_THAT(seen_of_block(hpack_literal("trailer", "x")), IsEmpty());
  const auto two_hosts = [](std::string_view host) {
    return hpack_literal(":method", "GET") + hpack_literal(":path", "/x") +
           hpack_literal(":authority", "a.example") + hpack_literal("host", host);
  };
  EXPECT_THAT(seen_of_block(two_hosts("b.example")),
              ElementsAre("http-host name a.example", "http-url name http://a.example/x",
                          "http-host name b.example", "http-url name http://b.example/x"));
  EXPECT_THAT(seen_of_block(two_hosts("a.example")),
              ElementsAre("http-host name a.example", "http-url name http://a.example/x"));
}

TEST_F(Http2Test, WhatIsBrokenEndsIt) {
  const Bytes reference{0x82, 0xff, 0x7f}; // an entry that was never made
  const Bytes too_large{0x3f, 0xe1, 0xff, 0x03};
  const Bytes bad_code{0x41, 0x81, 0xfe};
  const Bytes padding_beyond = http2_frame(kHeaders, 0xc, {9, 0x82});
  const Bytes other_stream =
      http2_frame(kHeaders, 0, {0x82}, 1) + http2_frame(kContinuation, 4, {0x84}, 3);
  for (const auto &frames :
       {http2_frame(kHeaders, kEndHeaders, reference),
        http2_frame(kHeaders, kEndHeaders, too_large), http2_frame(kHeaders, kEndHeaders, bad_code),
        padding_beyond, other_stream, http2_frame(kContinuation, 4, {0x82}),
        http2_frame(kHeaders, 4, Bytes(13000, 0x82))}) {
    EXPECT_THAT(seen(frames), IsEmpty());
    EXPECT_EQ(last_.outcome, Look::Outcome::Done);
  }
}

TEST_F(Http2Test, OfABlockTooLargeTheStartIsRead) {
  const Bytes start = hpack_first_request() + Bytes{0x40, 1, 'x', 0x7f, 0x81, 0x7f};
  const Bytes filler(16300, 'y');
  const auto one = http2_frame(kHeaders, 0x24, Bytes(5, 0) + start + filler);
  const auto two =
      http2_frame(kHeaders, 0, start) + http2_frame(kContinuation, kEndHeaders, filler);
  for (const auto &frames : {one, two}) {
    for (const std::size_t cut : {0U, 9U, 20U, 40U, 5000U, 12287U, 12288U, 12289U}) {
      ASSERT_THAT(seen(frames, cut), ElementsAre("http-host name www.example.com",
                                                 "http-url name http://www.example.com/"))
          << cut;
      EXPECT_EQ(last_.outcome, Look::Outcome::Done);
    }
  }
}

TEST_F(Http2Test, ConnectionsAreBounded) {
  std::vector<std::unique_ptr<Http2Connection>> open;
  for (std::uint32_t i = 0; i < Http2Shared::kMostConnections; ++i) {
    open.push_back(Http2Connection::open(shared_));
    ASSERT_NE(open.back(), nullptr);
  }
  EXPECT_EQ(Http2Connection::open(shared_), nullptr);
  EXPECT_EQ(shared_.refused, 1U);
  open.pop_back();
  EXPECT_NE(Http2Connection::open(shared_), nullptr);
}

TEST(Hpack, TablesForgetTheOldest) {
  HpackTable table;
  ASSERT_TRUE(table.resize(100)); // two entries of 34 bytes
  for (const std::string_view value : {"1", "2", "3"}) {
    table.insert({"a", value});
  }
  EXPECT_EQ(table.at(62)->value, "3");
  EXPECT_EQ(table.at(63)->value, "2");
  EXPECT_FALSE(table.at(64));
  EXPECT_FALSE(table.at(0));
  EXPECT_EQ(table.at(61)->name, "www-authenticate");
  table.insert({"a", std::string(100, 'x')}); // larger than the table: empties it
  EXPECT_FALSE(table.at(62));
  EXPECT_FALSE(table.resize(HpackTable::kMostBytes + 1));
  for (int i = 0; i < 10000; ++i) { // what is dead is given back
    table.insert({"name", std::to_string(i)});
  }
  EXPECT_EQ(table.at(62)->value, "9999");
  EXPECT_EQ(table.at(63)->value, "9998");
}

TEST(Hpack, HuffmanCodesEndInLessThanAByteOfOnes) {
  const auto text = [](const Bytes &code) {
    std::string out;
    return append_huffman(code, out) ? out : "none";
  };
  EXPECT_EQ(text({}), "");
  EXPECT_EQ(text({0x1f}), "a");                        // 00011, 111
  EXPECT_EQ(text({0x18, 0xc6, 0x3f}), "aaaa");         // and 1111
  EXPECT_EQ(text({0x18, 0xc6, 0x30}), "none");         // 0000
  EXPECT_EQ(text({0x1f, 0xff}), "none");               // too many ones
  EXPECT_EQ(text({0xff, 0xff, 0xff, 0xff}), "none");   // the code of the end
  EXPECT_EQ(text({0, 0, 0, 0, 0}), "00000000");        // 40 bits: nothing is left to fill
  EXPECT_EQ(text({0, 0, 0, 0, 0, 0xff}), "none");      // a whole byte of ones is no padding
  EXPECT_EQ(text({0xff, 0xc7}), std::string(1, '\0')); // 13 bits, and 111
}

TEST(Hpack, NamesOutOfTheTableCostTheirLength) {
  HpackTable table;
  HpackScratch scratch;
  Bytes block = Bytes{0x40, 0x7f, 0xa1, 0x1e} + Bytes(4000, 'n') + Bytes{0};
  for (int i = 0; i < 100; ++i) {
    block = block + Bytes{0x0f, 47, 0}; // the name of entry 62, no value, not remembered
  }
  HpackReader reader(table, block, scratch);
  int fields = 0;
  while (reader.next()) {
    ++fields;
  }
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(fields, 16); // 64 KiB
}

} // namespace
} // namespace outguard::guest
