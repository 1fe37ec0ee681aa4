// A page of RAM that may begin with a VMCOREINFO note.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "guest/symbols/vmcoreinfo.h"
#include "guest/testing/kernel_builder.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  KernelBuilder kernel;
  std::vector<std::uint8_t> page(256);
  static_cast<void>(kernel.memory().read(kernel.note_page(), page));
  return {page};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const auto text = vmcoreinfo_note({data, size});
  if (text && text->size() > size) {
    std::abort();
  }
  const auto claim =
      parse_vmcoreinfo(text ? *text : std::string_view(reinterpret_cast<const char *>(data), size));
  if (claim) {
    if (claim->release.empty() || claim->release.size() > 64) {
      std::abort();
    }
    static_cast<void>(claim->root());
  }
  return 0;
}
