#pragma once
// The BTF section (Documentation/bpf/btf.rst) inside a kernel image, found and copied whole; what
// it says is BtfTypeTable's business.

#include <optional>
#include <span>
#include <vector>

#include "guest/symbols/kernel_image.h"

namespace outguard::guest {

inline constexpr std::size_t kMaxBtfBytes = std::size_t{32} << 20; ///< Debian's have 3.4 to 6 MB
inline constexpr std::size_t kBtfHeaderBytes = 24;

/// How many bytes a BTF section has, by the header at the start of `bytes`; Malformed when that is
/// no BTF header, LimitReached when it claims more than kMaxBtfBytes.
[[nodiscard]] Result<std::size_t> btf_length(std::span<const std::uint8_t> bytes);

/// `start`: where the kernel's symbols say that it begins; without them it is looked for by its
/// magic, inside the image only: copies lie about everywhere. NotFound: this kernel has none.
[[nodiscard]] Result<std::vector<std::uint8_t>> copy_btf(const AddressSpace &space,
                                                         std::span<const ImageRun> image,
                                                         std::optional<GuestVirtual> start);

} // namespace outguard::guest
