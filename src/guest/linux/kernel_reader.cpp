#include "guest/linux/kernel_reader.h"

#include <cstring>

namespace outguard::guest {

Result<void> KernelReader::read(GuestVirtual address, std::span<std::uint8_t> out) {
  if (!budget_.step() || !budget_.take_bytes(out.size())) {
    return fault(FaultCode::LimitReached, address.raw());
  }
  const auto done = space_.read(address, out);
  if (!done && done.error().code == FaultCode::SourceGone && !source_gone_) {
    source_gone_ = done.error();
  }
  return done;
}

std::optional<Fault> KernelReader::cut_short() const {
  if (source_gone_) {
    return source_gone_;
  }
  return budget_.exhausted() ? std::optional(Fault{FaultCode::LimitReached, 0}) : std::nullopt;
}

Result<GuestVirtual> KernelReader::pointer(GuestVirtual address) {
  std::uint64_t value = 0;
  const auto done = read(address, {reinterpret_cast<std::uint8_t *>(&value), sizeof value});
  if (!done) {
    return tl::unexpected(done.error());
  }
  return GuestVirtual(value);
}

Result<void> ObjectCopy::load(KernelReader &reader, GuestVirtual address) {
  address_ = address;
  return reader.read(address.plus_wrapping(extent_.begin), bytes_);
}

std::uint64_t ObjectCopy::number(const Member &member) const {
  const auto field = bytes(member);
  std::uint64_t value = 0;
  std::memcpy(&value, field.data(), field.size()); // at most 8: StructBinder saw to it
  if (member.bit_size != 0) {
    value >>= member.bit_offset;
    value &= (std::uint64_t{1} << member.bit_size) - 1;
  }
  return value;
}

} // namespace outguard::guest
