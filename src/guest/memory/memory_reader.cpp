#include "guest/memory/memory_reader.h"

namespace outguard::guest {

Result<void> MemoryReader::read_loop(GuestPhysical address, std::span<std::uint8_t> out) {
  GuestPhysical at = address;
  while (!out.empty()) {
    const auto count = read_some(at, out);
    if (!count) {
      if (count.error().code == FaultCode::Unmapped) {
        ++outside_;
      }
      return tl::unexpected(count.error());
    }
    if (*count == 0 || *count > out.size()) {
      return fault(FaultCode::SourceGone, at.raw());
    }
    out = out.subspan(*count);
    const auto next = at.plus(*count);
    if (!next && !out.empty()) {
      return fault(FaultCode::OutOfRange, at.raw());
    }
    at = next.value_or(GuestPhysical{});
  }
  return {};
}

} // namespace outguard::guest
