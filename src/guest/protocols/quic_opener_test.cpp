#include <gtest/gtest.h>

#include "guest/protocols/digest.h"
#include "guest/protocols/quic_test_builder.h"

namespace outguard::guest {
namespace {

Bytes unhex(std::string_view text) {
  Bytes out;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    out.push_back(
        static_cast<std::uint8_t>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16)));
  }
  return out;
}
template <class Array> Array array(std::string_view text) {
  Array out{};
  const Bytes bytes = unhex(text);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

/// RFC 9001, A.2: the CRYPTO frame of both appendices.
Bytes rfc_frames() {
  Bytes frames = unhex(
      "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413"
      "011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d001700180010"
      "000700050461"
      "6c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171"
      "fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d000201"
      "01001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f"
      "088394c8f03e51570806048000ffff");
  frames.resize(1162, 0);
  return frames;
}

struct Vector {
  std::uint32_t version;
  std::string_view key, nonce, header_key;
  std::string_view header, sealed_beginning, sealed_end;
};
const Vector kVectors[] = {
    {kQuicVersion1, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c",
     "9f50449e04a0e810283a1e9933adedd2", "c300000001088394c8f03e5157080000449e00000002",
     "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b",
     "e221af44860018ab0856972e194cd934"}, // RFC 9001, A.1, A.2
    {kQuicVersion2, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f",
     "45b95e15235d6f45a6b19cbcb0294ba9", "d36b3343cf088394c8f03e5157080000449e00000002",
     "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071",
     "a18b2faa745b6fe189cf772a9f84cbfc"}, // RFC 9369, A.1, A.2
};

TEST(QuicOpener, AppendicesOfTheStandards) {
  QuicOpener::prepare();
  QuicOpener opener;
  for (const Vector &wanted : kVectors) {
    const auto keys = opener.client_keys(wanted.version, unhex("8394c8f03e515708"));
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->key, array<decltype(keys->key)>(wanted.key));
    EXPECT_EQ(keys->nonce, array<decltype(keys->nonce)>(wanted.nonce));
    EXPECT_EQ(keys->header, array<decltype(keys->header)>(wanted.header_key));

    const Bytes sealed = seal_quic(*keys, unhex(wanted.header), 4, rfc_frames());
    const Bytes beginning = unhex(wanted.sealed_beginning);
    const Bytes end = unhex(wanted.sealed_end);
    ASSERT_EQ(sealed.size(), 1200U);
    EXPECT_TRUE(std::equal(beginning.begin(), beginning.end(), sealed.begin()));
    EXPECT_TRUE(std::equal(end.rbegin(), end.rend(), sealed.rbegin()));

    ByteCursor cursor(sealed);
    const auto packet = next_quic_packet(cursor);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->type, QuicPacketType::Initial);
    EXPECT_TRUE(cursor.at_end());
    const auto frames = opener.open(*keys, *packet);
    ASSERT_TRUE(frames);
    EXPECT_EQ(Bytes(frames->begin(), frames->end()), rfc_frames());
  }
}

/// Appendix A.1 of draft-ietf-quic-tls-23 and -29; 33 and 34 protect as version 1 does.
TEST(QuicOpener, DraftsThatWereShipped) {
  QuicOpener opener;
  const auto id = unhex("8394c8f03e515708");
  const auto key = [&](std::uint32_t version) {
    const auto keys = opener.client_keys(version, id);
    return keys ? std::optional(keys->key) : std::nullopt;
  };
  using Key = decltype(QuicKeys::key);
  const Key draft23 = array<Key>("af7fd7efebd21878ff66811248983694");
  const Key draft29 = array<Key>("175257a31eb09dea9366d8bb79ad80ba");
  for (const std::uint32_t version : {0xff000017U, 0xff00001cU, 0xfaceb002U, 0xfaceb00eU}) {
    EXPECT_EQ(key(version), draft23) << version;
  }
  for (const std::uint32_t version : {0xff00001dU, 0xff000020U}) {
    EXPECT_EQ(key(version), draft29) << version;
  }
  for (const std::uint32_t version : {0xff000021U, 0xff000022U}) {
    EXPECT_EQ(key(version), key(kQuicVersion1)) << version;
  }
  for (const std::uint32_t version : {0U, 0xff000016U, 0xff000023U, 0xfaceb001U}) {
    EXPECT_EQ(key(version), std::nullopt) << version;
  }
}

TEST(QuicOpener, AByteThatChangedOpensNothing) {
  QuicOpener opener;
  const auto id = unhex("8394c8f03e515708");
  const auto keys = opener.client_keys(kQuicVersion1, id);
  const Bytes good = seal_quic(*keys, unhex(kVectors[0].header), 4, rfc_frames());
  for (const std::size_t at : {0U, 20U, 30U, 1000U, 1199U}) {
    Bytes bad = good;
    bad[at] ^= 1;
    ByteCursor cursor(bad);
    const auto packet = next_quic_packet(cursor);
    ASSERT_TRUE(packet) << at;
    EXPECT_FALSE(opener.open(*keys, *packet)) << at;
  }
  EXPECT_FALSE(opener.client_keys(0xff000016, id));
  EXPECT_NE(*opener.client_keys(kQuicVersion1, unhex("8394c8f03e515709")), *keys);
}

TEST(QuicPacket, TypesAndLengths) {
  const auto type = [](Bytes bytes) {
    ByteCursor cursor(bytes);
    const auto packet = next_quic_packet(cursor);
    return packet ? std::optional(packet->type) : std::nullopt;
  };
  const Bytes ids = Bytes{0, 0};
  const Bytes one = number(kQuicVersion1, 4) + ids;
  const Bytes two = number(kQuicVersion2, 4) + ids;
  const Bytes empty{0x00};
  EXPECT_EQ(type(Bytes{0xc0} + one + Bytes{0} + empty), QuicPacketType::Initial);
  EXPECT_EQ(type(Bytes{0xd0} + one + empty), QuicPacketType::ZeroRtt);
  EXPECT_EQ(type(Bytes{0xe0} + one + empty), QuicPacketType::Handshake);
  EXPECT_EQ(type(Bytes{0xf0} + one), QuicPacketType::Retry);
  EXPECT_EQ(type(Bytes{0xd0} + two + Bytes{0} + empty), QuicPacketType::Initial);
  EXPECT_EQ(type(Bytes{0xe0} + two + empty), QuicPacketType::ZeroRtt);
  EXPECT_EQ(type(Bytes{0xf0} + two + empty), QuicPacketType::Handshake);
  EXPECT_EQ(type(Bytes{0xc0} + two), QuicPacketType::Retry);
  EXPECT_EQ(type(Bytes{0xc0} + number(0, 4) + ids), QuicPacketType::VersionNegotiation);
  EXPECT_EQ(type(Bytes{0xc0} + number(0xff000016, 4) + ids), QuicPacketType::Unknown);
  EXPECT_EQ(type(Bytes{0x40} + one + empty), std::nullopt);    // short header
  EXPECT_EQ(type(Bytes{0xe0} + one + Bytes{1}), std::nullopt); // a length that lies
  EXPECT_EQ(type(Bytes{0xc0} + one + Bytes{0xc0} + Bytes(7, 0xff)), std::nullopt); // token's
  EXPECT_EQ(type(Bytes{0xe0} + number(kQuicVersion1, 4) + counted(Bytes(20, 0), 1) +
                 counted(Bytes(20, 0), 1) + empty),
            QuicPacketType::Handshake); // the longest ids
  EXPECT_EQ(type(Bytes{0xe0} + number(kQuicVersion1, 4) + counted(Bytes(21, 0), 1) + ids),
            std::nullopt); // an id too long
}

} // namespace
} // namespace outguard::guest
