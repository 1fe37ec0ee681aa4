#pragma once
// Bulk TCP between two network namespaces, for the benchmarks of what stands at a tap; and the way
// these give up.

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::bench {

[[noreturn]] inline void give_up(const std::string &why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}
inline void need(bool good, const char *what) {
  if (!good) {
    give_up(std::string(what) + ": " + std::strerror(errno));
  }
}
template <class Value> Value need(Result<Value> result) {
  if (!result) {
    give_up(result.error().message);
  }
  if constexpr (!std::is_void_v<Value>) {
    return std::move(*result);
  }
}

/// Of one connection.
struct Throughput {
  double bits_a_second = 0;
  double bits_a_cpu_second = 0; ///< of both ends and all between: what other load does not move
};

/// From a socket in `from` to one in `to`, which has the IPv4 address `address`.
[[nodiscard]] Throughput throughput(const Fd &from, const Fd &to, const char *address,
                                    std::chrono::milliseconds time);

} // namespace outguard::bench
