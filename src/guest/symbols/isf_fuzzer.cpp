// Any bytes as an ISF file, plain or packed: it is read or refused within its limits, and what was
// read can be asked.
#include <cstdint>
#include <vector>

#include "guest/symbols/isf_reader.h"
#include "guest/testing/isf_builder.h"

using namespace outguard::guest;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  auto file = read_isf(file_of({reinterpret_cast<const char *>(data), size}));
  if (file) {
    file->symbols->relocate(0x1000'0000);
    static_cast<void>(file->symbols->find("linux_banner"));
    static_cast<void>(file->types->member("task_struct", "comm.a"));
    static_cast<void>(file->types->member("task_struct", "pid"));
    static_cast<void>(file->types->size_of("task_struct"));
    static_cast<void>(file->types->enumerator("PIDTYPE_TGID"));
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  IsfBuilder isf;
  isf.add_base("int", 4);
  isf.add_enum("pid_type", "PIDTYPE_TGID", 1);
  isf.add_struct(
      "task_struct", 64,
      {{"pid", 0, IsfBuilder::bits(0, 4, IsfBuilder::base("int"))},
       {"u", 8, IsfBuilder::composite("task_struct"), true},
       {"comm", 16, IsfBuilder::array(16, IsfBuilder::pointer(IsfBuilder::base("int")))}});
  isf.add_banner(0xffff'ffff'8200'0000, "Linux version 6.1.0\n");
  isf.add_symbol("_text", 0xffff'ffff'8100'0000);
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto &bytes : {isf.json(), pack_xz(isf.json())}) {
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
