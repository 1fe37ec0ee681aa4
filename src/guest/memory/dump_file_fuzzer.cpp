// A memory file of any content: opens or says why not; every range that it claims reads or faults.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "guest/memory/dump_file_memory.h"
#include "guest/testing/elf_core_builder.h"
#include "guest/testing/kdump_builder.h"
#include "guest/testing/lime_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  ElfCoreBuilder core;
  core.add_memory(0x1000, std::vector<std::uint8_t>(256, 1));
  core.add_memory(0, std::vector<std::uint8_t>(128, 2));
  core.add_alias(0x1040, 0, 0x40, 0x20);
  core.add_cpu(0x1000, 0x1020, 0xffff'fe00'0000'0000);
  LimeBuilder lime;
  lime.add_memory(0x1000, std::vector<std::uint8_t>(64, 1));
  lime.add_memory(0, std::vector<std::uint8_t>(32, 2));
  KdumpBuilder kdump;
  std::uint64_t at = 0x1000;
  for (const auto compression : {PageCompression::None, PageCompression::Zlib, PageCompression::Lzo,
                                 PageCompression::Snappy, PageCompression::Zstd}) {
    kdump.add_memory(at, std::vector<std::uint8_t>(8192, 5), compression);
    at += 0x3000;
  }
  kdump.leave_out(0x9000);
  kdump.notes = core.notes;
  auto zeroes_left_out = kdump;
  zeroes_left_out.dump_level = 1;
  return {core.build(),
          std::vector<std::uint8_t>(64, 7),
          lime.build(),
          kdump.build(),
          zeroes_left_out.build(),
          flatten(kdump.build(), 5000),
          flatten(core.build(), 100)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const auto memory = DumpFileMemory::open(file_of({data, size}));
  if (!memory) {
    if (memory.error().reason == nullptr || *memory.error().reason == 0) {
      std::abort();
    }
    return 0;
  }
  std::uint64_t end = 0;
  for (const PhysicalRange &range : (*memory)->ranges()) {
    if (range.length == 0 || range.start.raw() < end) {
      std::abort(); // empty, unsorted or overlapping
    }
    end = range.start.raw() + range.length;
    for (const auto at : {range.start, range.start.plus_wrapping(range.length - 1)}) {
      const auto byte = (*memory)->read<std::uint8_t>(at);
      // A page that is there may be compressed wrongly; nothing else of a range may be missing.
      if (!byte && byte.error().code != FaultCode::Malformed) {
        std::abort();
      }
    }
    std::array<std::uint8_t, 300> bytes{};
    static_cast<void>((*memory)->read(range.start, bytes));
  }
  return 0;
}
