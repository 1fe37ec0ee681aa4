#include <gtest/gtest.h>

#include "guest/protocols/tls_fingerprint.h"
#include "guest/protocols/tls_test_builder.h"

namespace outguard::guest {
namespace {

class TlsFingerprintTest : public testing::Test {
protected:
  std::string ja3(const HelloParts &parts) {
    const Bytes body = hello_body(parts);
    TlsClientHello hello;
    EXPECT_TRUE(read_client_hello(body, hello));
    std::string out;
    EXPECT_TRUE(fingerprints_.ja3(hello, out));
    return out;
  }
  std::string ja4(const HelloParts &parts, HelloTransport transport = HelloTransport::Tcp) {
    const Bytes body = hello_body(parts);
    TlsClientHello hello;
    EXPECT_TRUE(read_client_hello(body, hello));
    std::string out;
    EXPECT_TRUE(fingerprints_.ja4(hello, transport, out));
    return out;
  }
  TlsFingerprints fingerprints_;
};

// The method's own two examples: 769,47-53-...-4,0-10-11,23-24-25,0 and 769,4-5-...-99,,,
TEST_F(TlsFingerprintTest, Ja3AsPublished) {
  HelloParts parts{
      .version = 769,
      .ciphers = {47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
      .extensions = {sni("a.example"), groups({23, 24, 25}), {std::uint16_t{11}, Bytes{1, 0}}}};
  EXPECT_EQ(ja3(parts), "ada70206e40642a3e4461f35503241d5");
  parts.ciphers.insert(parts.ciphers.begin(), 0x8a8a); // GREASE in each list
  parts.extensions.insert(parts.extensions.begin(), {std::uint16_t{0x0a0a}, Bytes{}});
  parts.extensions[2] = groups({0xfafa, 23, 24, 25});
  EXPECT_EQ(ja3(parts), "ada70206e40642a3e4461f35503241d5");
  parts.ciphers[0] = 0x8a9a; // nearly
  EXPECT_NE(ja3(parts), "ada70206e40642a3e4461f35503241d5");
  EXPECT_EQ(ja3({.version = 769, .ciphers = {4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}}),
            "de350869b8c85de67a350c8d186f11e6");
}

HelloParts ja4_example() {
  HelloParts parts{.ciphers = {0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030,
                               0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035}};
  for (const std::uint16_t type :
       Numbers{0x2a2a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005,
               0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x3a3a}) {
    switch (type) {
    case 0x0000:
      parts.extensions.push_back(sni("a.example"));
      break;
    case 0x0010:
      parts.extensions.push_back(alpn({"h2", "http/1.1"}));
      break;
    case 0x002b:
      parts.extensions.push_back(versions({0x6a6a, 0x0303, 0x0304}));
      break;
    case 0x000d:
      parts.extensions.push_back(
          signatures({0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601}));
      break;
    default:
      parts.extensions.emplace_back(type, Bytes{});
    }
  }
  return parts;
}

TEST_F(TlsFingerprintTest, Ja4AsPublished) {
  EXPECT_EQ(ja4(ja4_example()), "t13d1516h2_8daaf6152771_e5627efa2ab1");
  EXPECT_EQ(ja4(ja4_example(), HelloTransport::Quic), "q13d1516h2_8daaf6152771_e5627efa2ab1");
  auto parts = ja4_example();
  parts.extensions[8].second = {}; // no signature algorithms
  EXPECT_EQ(ja4(parts), "t13d1516h2_8daaf6152771_6d807ffa2a79");
}

TEST_F(TlsFingerprintTest, Ja4WithLittleInIt) {
  EXPECT_EQ(ja4({.version = 0x0301, .ciphers = {}}), "t10i000000_000000000000_000000000000");
  EXPECT_EQ(ja4({.version = 0x0300, .ciphers = {}, .extensions = {sni("a"), alpn({})}}),
            "ts3d000200_000000000000_000000000000");
  EXPECT_EQ(ja4({.version = 0x7f12, .ciphers = {}}).substr(0, 4), "t00i");
  EXPECT_EQ(ja4({.ciphers = Numbers(120, 5)}).substr(0, 8), "t12i9900");
}

TEST_F(TlsFingerprintTest, Ja4ProtocolCharacters) { // the specification's table
  const auto characters = [&](std::string_view protocol) {
    return ja4({.ciphers = {}, .extensions = {alpn({protocol})}}).substr(8, 2);
  };
  EXPECT_EQ(characters("http/1.1"), "h1");
  EXPECT_EQ(characters("x"), "xx");
  EXPECT_EQ(characters(""), "00");
  EXPECT_EQ(characters("\xab"), "ab");
  EXPECT_EQ(characters("\xab\xcd"), "ad");
  EXPECT_EQ(characters("0\xab"), "3b");
  EXPECT_EQ(characters("01\xab\xcd"), "3d");
  EXPECT_EQ(characters("0\xab\xcd"
                       "1"),
            "01");
  EXPECT_EQ(characters("h-"), "6d");
  for (const std::string_view plain : {"AZ", "az", "09"}) { // the ends of each range
    EXPECT_EQ(characters(plain), plain);
  }
  EXPECT_EQ(characters("@["), "4b");
  EXPECT_EQ(characters("`{"), "6b");
  EXPECT_EQ(characters("/:"), "2a");
}

TEST_F(TlsFingerprintTest, LengthsThatLie) {
  const Bytes body = hello_body(ja4_example());
  TlsClientHello hello;
  for (std::size_t size = 0; size < body.size(); ++size) {
    // Before the extensions it could have ended: hellos once did.
    const std::size_t plain = 2 + 32 + 1 + 32 + 2 + 2 * 16 + 2;
    EXPECT_EQ(read_client_hello(std::span(body).first(size), hello), size == plain) << size;
  }
  EXPECT_TRUE(read_client_hello(body, hello));
  auto longer = hello_body({.ciphers = {1}, .extensions = {{std::uint16_t{99}, Bytes(4, 0)}}});
  longer[longer.size() - 5] = 5; // the last extension's, not that of all
  EXPECT_FALSE(read_client_hello(longer, hello));
}

TEST_F(TlsFingerprintTest, OfTwoServerNamesTheFirstCounts) {
  const Bytes body = hello_body({.ciphers = {1}, .extensions = {sni("a"), sni("b")}});
  TlsClientHello hello;
  EXPECT_TRUE(read_client_hello(body, hello));
  EXPECT_EQ(hello.server_name->back(), 'a');
}

TEST_F(TlsFingerprintTest, HalfANumberIsNone) {
  const Bytes three{0x13, 0x01, 0x13};
  TlsClientHello odd, even;
  odd.cipher_suites = odd.groups = three;
  even.cipher_suites = even.groups = std::span(three).first(2);
  std::string of_odd, of_even;
  EXPECT_TRUE(fingerprints_.ja3(odd, of_odd) && fingerprints_.ja3(even, of_even));
  EXPECT_EQ(of_odd, of_even);
  EXPECT_TRUE(fingerprints_.ja4(odd, HelloTransport::Tcp, of_odd) &&
              fingerprints_.ja4(even, HelloTransport::Tcp, of_even));
  EXPECT_EQ(of_odd, of_even);
}

// What is remembered of one client is not told of another, and lists in another order are others.
TEST_F(TlsFingerprintTest, AsIfNothingWereRemembered) {
  auto shuffled = ja4_example();
  std::swap(shuffled.extensions[1], shuffled.extensions[4]);
  auto ciphers = ja4_example();
  std::swap(ciphers.ciphers[1], ciphers.ciphers[2]);
  auto moved = ja4_example();
  moved.ciphers.push_back(0x0017); // from one list to the next
  const HelloParts all[] = {ja4_example(), shuffled, ciphers, moved};
  for (int round = 0; round < 2; ++round) {
    for (const auto &parts : all) {
      const auto remembered3 = ja3(parts);
      const auto remembered4 = ja4(parts);
      fingerprints_ = {};
      EXPECT_EQ(ja3(parts), remembered3);
      EXPECT_EQ(ja4(parts), remembered4);
      for (const auto &other : all) { // whatever comes between
        (void)ja3(other);
        (void)ja4(other);
      }
    }
  }
  EXPECT_EQ(ja4(shuffled), ja4(ja4_example()));
  EXPECT_EQ(ja4(ciphers), ja4(ja4_example()));
  EXPECT_NE(ja3(shuffled), ja3(ja4_example()));
}

} // namespace
} // namespace outguard::guest
