#include "guest/packets/keyed_hash.h"

#include <cstdlib>

#include <sys/random.h>

namespace outguard::guest {

HashSeed random_seed() {
  HashSeed seed{};
  if (getrandom(seed.data(), sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    std::abort(); // no randomness: a predictable table is worse than a sensor that restarts
  }
  return seed;
}

} // namespace outguard::guest
