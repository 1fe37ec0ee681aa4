#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <libpsl.h>

#include "intel/guards/public_suffix.h"
#include "intel/guards/suffix_filter.h"
#include "intel/idna.h"

namespace outguard::intel {
namespace {

bool libpsl_says(const std::string &name) {
  return psl_is_public_suffix(psl_builtin(), name.c_str()) != 0;
}

std::string wire_form(const std::string &rule) {
  const bool wildcard = rule.starts_with("*.");
  return (wildcard ? "*." : "") + to_a_labels(wildcard ? rule.substr(2) : rule).value_or("?");
}

/// As the list has them, "co.ke", "*.kobe.jp", "!city.kobe.jp", and as they are on the wire.
class SuffixFilter : public testing::Test {
protected:
  void SetUp() override {
    if (!has_suffix_filter()) {
      GTEST_SKIP() << "libpsl has another list than the package publicsuffix: it is asked of each";
    }
    std::ifstream file(psl_builtin_filename());
    for (std::string line; std::getline(file, line);) {
      auto rule = line.substr(0, line.find_first_of(" \t\r"));
      if (!rule.empty() && !rule.starts_with("//")) {
        rule = is_international(rule) ? wire_form(rule) : rule;
        (rule.starts_with('!') ? exceptions_ : rules_).push_back(rule);
      }
    }
  }

  std::vector<std::string> rules_, exceptions_;
};

TEST_F(SuffixFilter, KnowsEveryRuleOfLibpsl) {
  EXPECT_EQ(static_cast<int>(rules_.size()), psl_suffix_count(psl_builtin()));
  for (const auto &rule : rules_) {
    const bool wildcard = rule.starts_with("*.");
    const auto suffix = wildcard ? rule.substr(2) : rule;
    ASSERT_TRUE(libpsl_says(suffix)) << suffix << ": not the list of libpsl";
    EXPECT_TRUE(is_public_suffix(suffix)) << suffix;
    if (wildcard) {
      ASSERT_TRUE(libpsl_says("any-label." + suffix)) << suffix;
      EXPECT_TRUE(is_public_suffix("any-label." + suffix)) << suffix;
    }
  }
  EXPECT_EQ(static_cast<int>(exceptions_.size()), psl_suffix_exception_count(psl_builtin()));
  for (const auto &exception : exceptions_) {
    EXPECT_FALSE(is_public_suffix(exception.substr(1))) << exception;
  }
}

TEST_F(SuffixFilter, AgreesWithLibpslAroundEachRule) {
  std::size_t asked = 0, suffixes = 0;
  const auto agrees = [&](const std::string &name) {
    const bool expected = libpsl_says(name);
    ++asked;
    suffixes += expected ? 1U : 0U;
    return is_public_suffix(name) == expected;
  };
  auto all = rules_;
  all.insert(all.end(), exceptions_.begin(), exceptions_.end());
  for (const auto &rule : all) {
    const auto name = rule.substr(rule.find_first_not_of("*.!"));
    for (const auto &variant :
         {name, "a." + name, "b.a." + name, name.substr(name.find('.') + 1), 'x' + name, name + 'x',
          '.' + name, name + '.', name + ".com", "*." + name}) {
      ASSERT_TRUE(agrees(variant)) << variant;
    }
    for (std::size_t cut = 1; cut < name.size(); ++cut) { // the list stores what rules share
      for (const auto &part : {name.substr(0, cut), name.substr(cut)}) {
        ASSERT_TRUE(agrees(part)) << part;
        ASSERT_TRUE(agrees("any-label." + part)) << part;
      }
    }
  }
  EXPECT_GT(suffixes, rules_.size());
  EXPECT_LT(suffixes, asked / 2);
}

TEST_F(SuffixFilter, AgreesWithLibpslUnderEveryShortParent) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
  for (const char first : kLetters) {
    for (const char second : kLetters) {
      for (const char third : kLetters) {
        const std::string parent{first, second, third};
        for (std::size_t size = 1; size <= parent.size(); ++size) {
          const auto name = "any-label." + parent.substr(0, size);
          ASSERT_EQ(is_public_suffix(name), libpsl_says(name)) << name;
        }
      }
    }
  }
}

TEST_F(SuffixFilter, AgreesWithLibpslOnNamesOfRandomLabels) {
  std::set<std::string> parts;
  for (const auto &rule : rules_) {
    for (std::size_t from = 0; from < rule.size();) {
      const auto end = std::min(rule.find('.', from), rule.size());
      parts.insert(rule.substr(from, end - from));
      from = end + 1;
    }
  }
  const std::vector<std::string> labels(parts.begin(), parts.end());
  std::mt19937 random(4);
  for (int round = 0; round < 100'000; ++round) {
    auto name = labels[random() % labels.size()];
    for (auto more = random() % 4; more > 0; --more) {
      name += '.' + labels[random() % labels.size()];
    }
    ASSERT_EQ(is_public_suffix(name), libpsl_says(name)) << name;
  }
}

TEST_F(SuffixFilter, AsksLibpslOfFew) {
  std::size_t asked = 0;
  const auto count = [&](const std::string &name) {
    asked += can_be_public_suffix(name) ? 1U : 0U;
  };
  for (int i = 0; i < 10'000; ++i) {
    count("login-" + std::to_string(i) + ".example.com");
    count("name" + std::to_string(i) + "s.net");
  }
  EXPECT_LT(asked, 2'000U) << "of 20000";
}

} // namespace
} // namespace outguard::intel
