// A BTF section of any content; what was parsed answers every question in bounded time.
#include <cstdint>
#include <vector>

#include "guest/symbols/btf_type_table.h"
#include "guest/testing/btf_builder.h"
#include "guest/testing/kernel_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  BtfBuilder btf;
  const auto integer = btf.add_int("int", 4);
  const auto array = btf.add_array(integer, 3);
  const auto inner = btf.add_composite(BtfKind::Struct, "", 16, {{"b", array, 32}});
  const auto renamed = btf.add_reference(BtfKind::Typedef, "t", inner);
  btf.add_composite(BtfKind::Union, "s", 16, {{"a", integer, 3, 5}, {"", renamed, 0}});
  btf.add_enum("e", {{"E", 1}});
  btf.add_enum64("", {{"F", -1}});
  return {btf.build(), small_kernel_btf()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const auto types = BtfTypeTable::parse({data, data + size});
  if (!types) {
    return 0;
  }
  for (const char *type : {"s", "t", "e", "task_struct", "sock_common", ""}) {
    static_cast<void>((*types)->size_of(type));
    for (const char *path : {"a", "b", "a.b", "pid", "comm", "skc_daddr", "", "."}) {
      static_cast<void>((*types)->member(type, path));
    }
  }
  static_cast<void>((*types)->enumerator("E"));
  static_cast<void>((*types)->enumerator("F"));
  return 0;
}
