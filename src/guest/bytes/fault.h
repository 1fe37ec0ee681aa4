#pragma once
// Why a read of hostile bytes failed: a small value without heap, since a guest can cause millions.
// Never logged one by one; counted, and reported as part of "partial, because ...".

#include <cstdint>

#include <tl/expected.hpp>

namespace outguard::guest {

enum class FaultCode : std::uint8_t {
  Unmapped,     ///< the guest has no memory at this address (or no translation to it)
  OutOfRange,   ///< beyond the window that the caller was given
  Malformed,    ///< the bytes are there and make no sense
  LimitReached, ///< a budget or cap of ours ended the walk
  SourceGone,   ///< the operating system failed: QEMU died, the file ended, the descriptor is bad
  NotFound,     ///< a symbol, type or member that this kernel does not have
};

struct Fault {
  FaultCode code = FaultCode::Malformed;
  std::uint64_t address =
      0; ///< guest address or buffer offset where it happened; 0 when meaningless

  friend bool operator==(const Fault &, const Fault &) = default;
};

template <class T> using Result = tl::expected<T, Fault>;

[[nodiscard]] inline tl::unexpected<Fault> fault(FaultCode code, std::uint64_t address = 0) {
  return tl::unexpected<Fault>(Fault{code, address});
}

[[nodiscard]] const char *to_string(FaultCode code);

} // namespace outguard::guest
