// Stands in for libFuzzer's main in ordinary builds: runs a fuzzer over the files named, or over
// the seeds that it registers itself.
//
//   FUZZER FILE...             runs them
//   FUZZER --self-seeds        runs its seeds, their cuts and flips
//   FUZZER --write-seeds DIR   writes its seeds
//   FUZZER --slowest MUTANTS OUT [DIR...]
//                              tells on which of its seeds, the files of DIR and the mutants of the
//                              slowest of them it takes longest, and writes that one to OUT
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/slowest_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
/// A fuzzer defines this to hand out its built seeds; the weak default has none.
std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
__attribute__((weak)) std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {};
}

namespace {

using Bytes = std::vector<std::uint8_t>;

void run(const Bytes &input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

Bytes read_file(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return {text.begin(), text.end()};
}

void write_file(const std::filesystem::path &path, const Bytes &bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char *>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

/// Every prefix and every single flipped byte of a seed, at most `kMostVariants` of each: cheap,
/// and it catches what a bounds check forgot.
constexpr std::size_t kMostVariants = 2048;
void run_variants(const Bytes &seed) {
  run(seed);
  const std::size_t step = seed.size() / kMostVariants + 1;
  for (std::size_t cut = 0; cut < seed.size(); cut += step) {
    run({seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(cut)});
    auto flipped = seed;
    flipped[cut] = static_cast<std::uint8_t>(flipped[cut] ^ 0xff);
    run(flipped);
  }
}

void write_seeds(const std::string &folder) {
  std::filesystem::create_directories(folder);
  std::size_t number = 0;
  for (const auto &seed : fuzzer_seeds()) {
    write_file(folder + "/seed-" + std::to_string(number++), seed);
  }
}

void tell_slowest(std::uint64_t mutants, const std::string &out,
                  const std::vector<std::string> &folders) {
  outguard::fuzz::SlowestInput slowest;
  std::size_t number = 0;
  for (const auto &seed : fuzzer_seeds()) {
    slowest.measure(seed, "seed " + std::to_string(number++));
  }
  for (const auto &folder : folders) {
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
      slowest.measure(read_file(entry.path()), entry.path().filename().string());
    }
  }
  slowest.measure_mutants(mutants);
  write_file(out, slowest.bytes());
  std::puts(slowest.report().c_str());
}

} // namespace

int main(int argc, char **argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string mode = arguments.empty() ? "" : arguments[0];
  if (mode == "--write-seeds" && arguments.size() == 2) {
    write_seeds(arguments[1]);
    return 0;
  }
  run({});
  if (mode == "--slowest" && arguments.size() >= 3) {
    tell_slowest(std::stoull(arguments[1]), arguments[2], {arguments.begin() + 3, arguments.end()});
    return 0;
  }
  if (mode == "--self-seeds") {
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
  for (const auto &path : arguments) {
    run(read_file(path));
  }
  return 0;
}
