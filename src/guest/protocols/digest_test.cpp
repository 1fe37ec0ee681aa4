#include <gtest/gtest.h>

#include "guest/protocols/digest.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

std::string digest(DigestKind kind, std::string_view text) {
  std::string out = "=";
  EXPECT_TRUE(append_digest(kind, bytes_of(text), out));
  return out;
}

TEST(Digest, AsTheirStandardsSay) { // RFC 1321, A.5; RFC 3174, 7.3; FIPS 180-2, B.1
  prepare_digests();
  EXPECT_EQ(digest(DigestKind::Md5, ""), "=d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(digest(DigestKind::Md5, "abc"), "=900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(digest(DigestKind::Sha1, "abc"), "=a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(digest(DigestKind::Sha256, "abc"),
            "=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, InPiecesAgainAndAgain) {
  RunningDigest sha1(DigestKind::Sha1);
  for (int round = 0; round < 3; ++round) {
    sha1.add(bytes_of("a"));
    sha1.add({});
    sha1.add(bytes_of("bc"));
    std::string out = "=";
    EXPECT_TRUE(sha1.finish(out));
    EXPECT_EQ(out, "=a9993e364706816aba3e25717850c26c9cd0d89d");
  }
}

} // namespace
} // namespace outguard::guest
