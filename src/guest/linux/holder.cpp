#include "guest/linux/holder.h"

namespace outguard::guest {

bool is_still_held(const Holder &holder, const FileLayout &layout, KernelReader &reader) {
  // A slot of an io_uring has flags where a file's address has none.
  constexpr std::uint64_t kAddressMask = ~std::uint64_t{7};
  reader.renew(holder.slot, sizeof(std::uint64_t));
  const auto file = reader.pointer(holder.slot);
  if (!file || (file->raw() & kAddressMask) != holder.file.raw()) {
    return false;
  }
  const auto socket = reader.pointer(holder.file.plus_wrapping(layout.private_data.offset));
  return socket && *socket == holder.socket;
}

} // namespace outguard::guest
