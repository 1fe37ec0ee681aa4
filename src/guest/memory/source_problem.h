#pragma once
// Why a memory source could not be opened. Small, for code built without exceptions; the caller
// adds the name of the file or VM.

#include <cstdint>

#include <tl/expected.hpp>

namespace outguard::guest {

struct SourceProblem {
  const char *reason = "";  ///< a literal: "program header reaches past the end of the file"
  std::uint64_t offset = 0; ///< in the file, or the guest-physical address of the region
};

template <class T> using Opened = tl::expected<T, SourceProblem>;

[[nodiscard]] inline tl::unexpected<SourceProblem> problem(const char *reason,
                                                           std::uint64_t offset = 0) {
  return tl::unexpected<SourceProblem>({reason, offset});
}

} // namespace outguard::guest
