// Page tables made of the input: eight pages of memory, of which the input may write entries
// anywhere.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "guest/memory/address_space.h"
#include "guest/testing/fake_memory.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();

namespace {

constexpr std::uint64_t kMemoryBytes = 0x8000;

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  // levels, address, then entries: a chain of tables 0x1000..0x4000 that ends in a page.
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::uint8_t five : {std::uint8_t{0}, std::uint8_t{1}}) {
    std::vector<std::uint8_t> seed(9 + 5 * 10);
    seed[0] = five;
    for (std::uint8_t level = 0; level < 5; ++level) {
      const std::size_t at = 9 + std::size_t{level} * 10;
      const auto slot = static_cast<std::uint16_t>(level * 512);
      const std::uint64_t entry = (level + 1) * 0x1000U | 3;
      std::memcpy(&seed[at], &slot, 2);
      std::memcpy(&seed[at + 2], &entry, 8);
    }
    seeds.push_back(seed);
    seed[9 + 2 * 10 + 2] |= 0x80; // a large page on the way
    seeds.push_back(seed);
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 9) {
    return 0;
  }
  FakeMemory memory;
  memory.map(GuestPhysical(0), kMemoryBytes);
  std::uint64_t address = 0;
  std::memcpy(&address, data + 1, 8);
  for (std::size_t at = 9; at + 10 <= size; at += 10) {
    std::uint16_t slot = 0;
    std::uint64_t entry = 0;
    std::memcpy(&slot, data + at, 2);
    std::memcpy(&entry, data + at + 2, 8);
    memory.put(GuestPhysical(std::uint64_t{slot} * 8 % kMemoryBytes), entry);
  }
  const auto levels = (data[0] & 1) != 0 ? PagingLevels::Five : PagingLevels::Four;
  AddressSpace space(memory, GuestPhysical(0), levels);
  memory.clear_calls();
  const auto first = space.locate(GuestVirtual(address));
  if (memory.calls().size() > 5) {
    std::abort();
  }
  const auto again = space.locate(GuestVirtual(address)); // now from what was remembered
  if (first.has_value() != again.has_value() ||
      (first && (first->physical != again->physical || first->bytes_left != again->bytes_left))) {
    std::abort();
  }
  if (first && (first->bytes_left == 0 || first->bytes_left > (1U << 30))) {
    std::abort();
  }
  std::vector<std::uint8_t> bytes(0x3000);
  static_cast<void>(space.read(GuestVirtual(address), bytes));
  WalkBudget budget(1000, 0);
  GuestVirtual from(address);
  while (const auto page = space.next_mapped(from, GuestVirtual(~std::uint64_t{0}), budget)) {
    if (page->start < from) {
      std::abort();
    }
    const auto next = page->start.plus(page->at.bytes_left);
    if (!next) {
      break;
    }
    from = *next;
  }
  return 0;
}
