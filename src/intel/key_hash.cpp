#include "intel/key_hash.h"

#include <chrono>

#include <sys/random.h>

namespace outguard::intel {

HashSeed random_seed() {
  HashSeed seed;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
    // Only before the host's own random pool is ready. Costs speed at worst, never a match.
    const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
    seed.start ^= static_cast<std::uint64_t>(ticks) * 0x9e3779b97f4a7c15;
    seed.multiplier ^= static_cast<std::uint64_t>(ticks) * 0xd1342543de82ef95;
  }
  return seed;
}

} // namespace outguard::intel
