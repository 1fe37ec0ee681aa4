#include <gtest/gtest.h>

#include "guest/symbols/kallsyms_table.h"
#include "guest/testing/guest_image_builder.h"
#include "guest/testing/kallsyms_builder.h"

namespace outguard::guest {
namespace {

using Flaw = KallsymsBuilder::Flaw;

constexpr GuestVirtual kText(0xffff'ffff'8120'0000);
constexpr GuestVirtual kTables(0xffff'ffff'8200'0000);
constexpr GuestVirtual kBanner(0xffff'ffff'8300'0040);
constexpr std::size_t kLead = 0x1230; ///< other read-only data before the tables

/// Tables in their surroundings, and the guest that the banner is read from.
class KallsymsTest : public testing::TestWithParam<KallsymsForm> {
protected:
  KallsymsTest() {
    guest_.put_text(kBanner, "Linux version 6.1.0-test");
    symbols_.add('T', "_text", kText.raw());
    symbols_.add('T', "_stext", kText.raw());
    symbols_.add('R', "linux_banner", kBanner.raw());
    symbols_.add('A', "current_task", per_cpu_address());
    symbols_.add_fillers(1500, kText.raw() + 64);
  }

  /// Where per-CPU symbols are relative to 0 they are absolute; later they are addresses like
  /// others.
  [[nodiscard]] static std::uint64_t per_cpu_address() {
    return GetParam().addresses == KallsymsForm::Addresses::PerCpuAbsolute
               ? 0x1'5bc0
               : kBanner.raw() + 0x10'0000;
  }

  [[nodiscard]] std::vector<std::uint8_t> image(Flaw flaw = Flaw::None) const {
    std::vector<std::uint8_t> bytes(kLead, 0xcc);
    const auto tables = symbols_.build(GetParam(), kTables.plus_wrapping(kLead), flaw);
    bytes.insert(bytes.end(), tables.begin(), tables.end());
    bytes.resize(bytes.size() + 4096, 0xcc);
    return bytes;
  }
  [[nodiscard]] Result<std::unique_ptr<KallsymsTable>>
  find_in(const std::vector<std::uint8_t> &bytes) {
    return find_in(bytes, kText);
  }
  [[nodiscard]] Result<std::unique_ptr<KallsymsTable>>
  find_in(const std::vector<std::uint8_t> &bytes, GuestVirtual text) {
    WalkBudget budget = KallsymsTable::search_budget();
    return KallsymsTable::find_in(bytes, kTables, text, guest_.space(), budget);
  }

  GuestImageBuilder guest_;
  KallsymsBuilder symbols_;
};

TEST_P(KallsymsTest, FindsEverySymbol) {
  const auto table = find_in(image());
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->size(), 1504U);
  EXPECT_EQ((*table)->find("_text"), kText);
  EXPECT_EQ((*table)->find("linux_banner"), kBanner);
  EXPECT_EQ((*table)->find("current_task"), GuestVirtual(per_cpu_address()));
  for (std::uint64_t i = 0; i < 1500; ++i) {
    EXPECT_EQ((*table)->find("filler_" + std::to_string(i)), kText.plus_wrapping(64 + 16 * i));
  }
}

TEST_P(KallsymsTest, DoesNotFindWhatIsNotThere) {
  const auto table = find_in(image());
  ASSERT_TRUE(table);
  for (const char *name : {"", "_tex", "_textt", "T_text", "filler_1500", "linux_Banner"}) {
    EXPECT_FALSE((*table)->find(name)) << name;
  }
}

TEST_P(KallsymsTest, TakesTheFirstOfANameThatStandsTwice) {
  symbols_.add('t', "twice", kText.raw() + 0x2'0000);
  symbols_.add('t', "twice", kText.raw() + 0x1'0000);
  const auto table = find_in(image());
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->find("twice"), kText.plus_wrapping(0x1'0000))
      << "tables are in address order";
}

TEST_P(KallsymsTest, ReadsNamesOfTwoLengthBytes) {
  const std::string name(300, 'q');
  symbols_.add('t', name, kText.raw() + 0x100'0000);
  symbols_.add('t', std::string(127, 'q'), kText.raw() + 0x100'0010);
  const auto table = find_in(image());
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->find(name), kText.plus_wrapping(0x100'0000));
}

TEST_P(KallsymsTest, WorksWithEveryRemainderOfSymbols) {
  for (int i = 0; i < 300; ++i) { // the last marker's row from empty to full; padding 0 to 7
    symbols_.add('t', "more_" + std::to_string(i),
                 kText.raw() + 0x200'0000 + static_cast<unsigned>(i));
    if (i < 8 || i > 20) {
      ASSERT_TRUE(find_in(image())) << i;
    }
    i += i > 40 ? 30 : 0;
  }
}

TEST_P(KallsymsTest, WithoutDataSymbolsTextMustFit) {
  KallsymsBuilder text_only;
  text_only.add('T', "_text", kText.raw());
  text_only.add_fillers(1100, kText.raw() + 64);
  const auto bytes = text_only.build(GetParam(), kTables);
  EXPECT_TRUE(find_in(bytes, kText));
  EXPECT_FALSE(find_in(bytes, kText.plus_wrapping(0x20'0000)));
}

TEST_P(KallsymsTest, RefusesABannerThatIsNone) {
  guest_.put_text(kBanner, "Minix version");
  EXPECT_FALSE(find_in(image()));
}

TEST_P(KallsymsTest, RefusesEveryFlaw) {
  for (const Flaw flaw : {Flaw::CountTooHigh, Flaw::MarkerWrong, Flaw::NameEmpty, Flaw::NameTooLong,
                          Flaw::TokenUnterminated, Flaw::TokenIndexFalls, Flaw::DigitMissing}) {
    EXPECT_FALSE(find_in(image(flaw))) << static_cast<int>(flaw);
  }
  if (GetParam().addresses != KallsymsForm::Addresses::SelfRelative) {
    EXPECT_FALSE(find_in(image(Flaw::BaseWrong)));
  }
}

TEST_P(KallsymsTest, GoesOnBehindABadSet) {
  auto bytes = image(Flaw::MarkerWrong);
  const std::size_t lead = bytes.size() / 4096 * 4096 + 4096;
  bytes.resize(lead);
  const auto good = symbols_.build(GetParam(), kTables.plus_wrapping(lead));
  bytes.insert(bytes.end(), good.begin(), good.end());
  const auto table = find_in(bytes);
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->find("_text"), kText);
}

TEST_P(KallsymsTest, ManyBadSetsEndAtTheBudget) {
  std::vector<std::uint8_t> bytes;
  while (bytes.size() < (1U << 20)) { // complete, and their banner is none
    const auto one = symbols_.build(GetParam(), kTables.plus_wrapping(bytes.size()));
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  guest_.put_text(kBanner, "Minix version");
  WalkBudget budget(0, 300'000);
  const auto table = KallsymsTable::find_in(bytes, kTables, kText, guest_.space(), budget);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, FaultCode::LimitReached);
  EXPECT_TRUE(budget.exhausted());
}

TEST_P(KallsymsTest, SurvivesEveryCut) {
  const auto whole = image();
  for (std::size_t length = 0; length < whole.size() - 4096 - 8; length += 611) {
    const std::vector<std::uint8_t> cut(whole.begin(),
                                        whole.begin() + static_cast<std::ptrdiff_t>(length));
    const auto table = find_in(cut);
    // Only the sequence table, which nobody needs, may be missing.
    if (table) {
      EXPECT_EQ((*table)->find("linux_banner"), kBanner) << length;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, KallsymsTest, testing::ValuesIn(kallsyms_forms()),
                         [](const auto &form) {
                           std::string name = form.param.release;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return "linux_" + name;
                         });

} // namespace
} // namespace outguard::guest
