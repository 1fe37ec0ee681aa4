#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/certificate.h"
#include "guest/protocols/certificate_test_builder.h"
#include "guest/protocols/recording_test_sink.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class CertificateTest : public testing::Test {
protected:
  std::vector<std::string> names(const Bytes &der) {
    RecordingSink sink;
    untold_ = observe_certificate_names(der, scratch_, sink);
    return sink.seen;
  }
  std::string scratch_;
  std::size_t untold_ = 0;
};

TEST_F(CertificateTest, CommonAndAlternativeNamesOnce) {
  const auto der = certificate(
      {.common_name = "C2.Example",
       .alternative_names = "DNS:c2.example,IP:192.0.2.1,email:a@b.example,DNS:*.C2.example"});
  EXPECT_THAT(names(der),
              ElementsAre("certificate-name name c2.example", "certificate-name odd *.c2.example"));
  EXPECT_EQ(untold_, 0U);
}

TEST_F(CertificateTest, EitherAlone) {
  EXPECT_THAT(names(certificate({.common_name = "Evil Corp"})),
              ElementsAre("certificate-name odd evil\\032corp"));
  EXPECT_THAT(names(certificate({.alternative_names = "DNS:a.example"})),
              ElementsAre("certificate-name name a.example"));
  EXPECT_THAT(names(certificate({})), IsEmpty());
}

TEST_F(CertificateTest, WideStrings) {
  EXPECT_THAT(names(certificate({.common_name = std::string("\0w\0i\0d\0e", 8),
                                 .string_type = V_ASN1_BMPSTRING})),
              ElementsAre("certificate-name name wide"));
  EXPECT_THAT(names(certificate(
                  {.common_name = std::string("\0w\x20\xac", 4), .string_type = V_ASN1_BMPSTRING})),
              ElementsAre("certificate-name odd w?"));
}

TEST_F(CertificateTest, MoreThanAreTold) {
  std::string all;
  for (int i = 0; i < 300; ++i) {
    all += (i > 0 ? ",DNS:h" : "DNS:h") + std::to_string(i) + ".example";
  }
  EXPECT_THAT(names(certificate({.alternative_names = all})), SizeIs(kMostCertificateNames));
  EXPECT_EQ(untold_, 300 - kMostCertificateNames);
}

TEST_F(CertificateTest, EveryPrefixAndEveryLieIsSurvived) {
  const Bytes der = certificate({.common_name = "a.example", .alternative_names = "DNS:b.example"});
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_THAT(names(Bytes(der.begin(), der.begin() + static_cast<std::ptrdiff_t>(size))),
                IsEmpty()); // the outermost length promises more
  }
  for (std::size_t at = 0; at < der.size(); ++at) {
    for (const std::uint8_t lie : Bytes{0x00, 0x7f, 0x80, 0x84, 0xff}) {
      Bytes lying = der;
      lying[at] = lie;
      EXPECT_LE(names(lying).size(), 3U);
    }
  }
}

} // namespace
} // namespace outguard::guest
