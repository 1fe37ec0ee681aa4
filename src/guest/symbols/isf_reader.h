#pragma once
// Reads an ISF file: Volatility 3's JSON of a kernel's types and symbols (format 6), plain or .xz,
// as dwarf2json writes it from a kernel's debug package. It is read as a stream, in one pass, with
// a cap for everything; whose kernel it is of is for the caller to compare.

#include <string>

#include "base/fd.h"
#include "guest/symbols/isf_tables.h"

namespace outguard::guest {

struct IsfLimits {
  std::uint64_t file_bytes = std::uint64_t{256} << 20;     ///< 20 to 60 MB are usual
  std::uint64_t unpacked_bytes = std::uint64_t{512} << 20; ///< of an .xz file
};

/// The error is words for people.
[[nodiscard]] tl::expected<IsfFile, std::string> read_isf(Fd file, const IsfLimits &limits = {});

} // namespace outguard::guest
