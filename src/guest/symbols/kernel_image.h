#pragma once
// The kernel image as its page tables map it: runs of pages with equal rights in the gigabyte that
// x86-64 Linux gives to it (Documentation/x86/x86_64/mm.rst), wherever KASLR put it in there.

#include <cstdint>
#include <vector>

#include "guest/memory/address_space.h"

namespace outguard::guest {

inline constexpr GuestVirtual kImageWindow(0xffff'ffff'8000'0000);
inline constexpr GuestVirtual kImageWindowEnd(0xffff'ffff'c000'0000); ///< modules follow
/// __START_KERNEL: the address of _text without KASLR (CONFIG_PHYSICAL_START is 16 MiB).
inline constexpr GuestVirtual kLinkAddress(0xffff'ffff'8100'0000);

struct ImageRun {
  GuestVirtual start;
  std::uint64_t length = 0; ///< bytes
  bool writable = false;
  bool executable = false;

  /// Where a running kernel keeps kallsyms, BTF and the banner.
  [[nodiscard]] bool is_read_only_data() const { return !writable && !executable; }
};

/// Runs in address order. NotFound when nothing is mapped there; a guest that maps more than an
/// image can be gets only the first part of it looked at.
[[nodiscard]] Result<std::vector<ImageRun>> map_kernel_image(const AddressSpace &space);

/// A copy of the run, of a very long one of its beginning.
[[nodiscard]] Result<std::vector<std::uint8_t>> copy_run(const AddressSpace &space,
                                                         const ImageRun &run);

} // namespace outguard::guest
