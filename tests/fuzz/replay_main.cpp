// Stands in for libFuzzer's main in ordinary builds: runs a fuzzer over the files named, or with
// --self-seeds over a fixed set of small inputs and the seeds that the fuzzer itself registers.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
/// A fuzzer defines this to hand out its built seeds; the weak default has none.
std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
__attribute__((weak)) std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {};
}

namespace {

void run(const std::vector<std::uint8_t> &input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

/// Every prefix and every single flipped byte of a seed, at most `kMostVariants` of each: cheap,
/// and it catches what a bounds check forgot.
constexpr std::size_t kMostVariants = 2048;
void run_variants(const std::vector<std::uint8_t> &seed) {
  run(seed);
  const std::size_t step = seed.size() / kMostVariants + 1;
  for (std::size_t cut = 0; cut < seed.size(); cut += step) {
    run({seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(cut)});
    auto flipped = seed;
    flipped[cut] = static_cast<std::uint8_t>(flipped[cut] ^ 0xff);
    run(flipped);
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc == 3 && std::strcmp(argv[1], "--write-seeds") == 0) {
    std::filesystem::create_directories(argv[2]);
    std::size_t number = 0;
    for (const auto &seed : fuzzer_seeds()) {
      std::ofstream out(std::string(argv[2]) + "/seed-" + std::to_string(number++),
                        std::ios::binary);
      out.write(reinterpret_cast<const char *>(seed.data()),
                static_cast<std::streamsize>(seed.size()));
    }
    return 0;
  }
  run({});
  if (argc == 2 && std::strcmp(argv[1], "--self-seeds") == 0) {
    const auto seeds = fuzzer_seeds();
    if (seeds.empty()) {
      std::fputs("this fuzzer registers no seed: define fuzzer_seeds()\n", stderr);
      return 1;
    }
    for (const auto &seed : seeds) {
      run_variants(seed);
    }
    return 0;
  }
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    run({bytes.begin(), bytes.end()});
  }
  return 0;
}
