// Read-only data of a kernel, with kallsyms tables spoiled by the input: the first byte picks the
// form, then each four bytes replace one byte of good tables (position: 3 bytes, value: 1). Tables
// of that shape cannot be guessed, so they are not made from nothing.
#include <cstdint>
#include <vector>

#include "guest/symbols/kallsyms_table.h"
#include "guest/testing/guest_image_builder.h"
#include "guest/testing/kallsyms_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();

namespace {

constexpr GuestVirtual kText(0xffff'ffff'8100'0000);
constexpr GuestVirtual kTables(0xffff'ffff'8200'0000);

std::vector<std::uint8_t> good_tables(const KallsymsForm &form) {
  KallsymsBuilder symbols;
  symbols.add('T', "_text", kText.raw());
  symbols.add('R', "linux_banner", kTables.raw() - 64);
  symbols.add_fillers(1100, kText.raw() + 64);
  return symbols.build(form, kTables);
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (std::size_t form = 0; form < kallsyms_forms().size(); ++form) {
    seeds.push_back({static_cast<std::uint8_t>(form)});
    seeds.push_back({static_cast<std::uint8_t>(form), 0x10, 0x02, 0x00, 0xff, 0x08, 0x10, 0, 0x80});
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const auto good = [] {
    std::vector<std::vector<std::uint8_t>> tables;
    for (const KallsymsForm &form : kallsyms_forms()) {
      tables.push_back(good_tables(form));
    }
    return tables;
  }();
  static GuestImageBuilder guest;
  static const bool ready = [] {
    guest.put_text(kTables.minus_wrapping(64), "Linux version 6.1.0");
    return true;
  }();
  if (size == 0 || !ready) {
    return 0;
  }
  auto bytes = good[data[0] % good.size()];
  for (std::size_t at = 1; at + 4 <= size; at += 4) {
    const auto position =
        static_cast<std::size_t>(data[at] | data[at + 1] << 8 | data[at + 2] << 16);
    bytes[position % bytes.size()] = data[at + 3];
  }
  WalkBudget budget = KallsymsTable::search_budget();
  const auto table = KallsymsTable::find_in(bytes, kTables, kText, guest.space(), budget);
  guest.memory().clear_calls();
  if (table) {
    static_cast<void>((*table)->find("_text"));
    static_cast<void>((*table)->find("filler_500"));
  }
  return 0;
}
