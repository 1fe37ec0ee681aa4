#include "guest/linux/kernel_reader.h"

#include <algorithm>
#include <cstring>

namespace outguard::guest {

template <class Source, class Address>
Result<void> KernelReader::charged_read(Source &source, Address address,
                                        std::span<std::uint8_t> out) {
  if (!budget_.step() || !budget_.take_bytes(out.size())) {
    return fault(FaultCode::LimitReached, address.raw());
  }
  const auto done = source.read(address, out);
  if (!done && done.error().code == FaultCode::SourceGone && !source_gone_) {
    source_gone_ = done.error();
  }
  return done;
}

void KernelReader::renew(GuestVirtual address, std::size_t length) {
  if (!space_.memory().is_costly()) {
    return;
  }
  for (std::size_t done = 0; done < length;) {
    const auto found = space_.locate(address.plus_wrapping(done));
    if (!found) {
      return; // nor can it be read
    }
    const std::size_t here = std::min<std::uint64_t>(found->bytes_left, length - done);
    space_.memory().renew(found->physical, here);
    done += here;
  }
}

Result<void> KernelReader::read(GuestVirtual address, std::span<std::uint8_t> out) {
  return charged_read(space_, address, out);
}

Result<void> KernelReader::read_physical(GuestPhysical address, std::span<std::uint8_t> out) {
  return charged_read(space_.memory(), address, out);
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
