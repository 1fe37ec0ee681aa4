// `info registers -a`, whose values the guest chooses.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "guest/memory/cpu_registers.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr std::string_view kText = "CPU#0\nRIP=ffffffff934b56ce RFL=00000246\n"
                                     "IDT=     fffffe0000000000 00000fff\n"
                                     "CR0=80050033 CR2=0 CR3=000000000800a000 CR4=000016b0\n"
                                     "EFER=0000000000000d01\n\nCPU#1\nEIP=0000fff0\nCR3=00000000\n";
  return {{kText.begin(), kText.end()}};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const auto cpus = parse_registers({reinterpret_cast<const char *>(data), size});
  if (cpus.size() > kMaxCpus) {
    std::abort();
  }
  return 0;
}
