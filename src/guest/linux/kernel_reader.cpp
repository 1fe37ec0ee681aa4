#include "guest/linux/kernel_reader.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace outguard::guest {

template <class Source, class Address>
Result<void> KernelReader::charged_read(Source &source, Address address,
                                        std::span<std::uint8_t> out) {
  if (!budget_.step()) {
    return fault(FaultCode::LimitReached, address.raw());
  }
  return counted_read(source, address, out);
}

template <class Source, class Address>
Result<void> KernelReader::counted_read(Source &source, Address address,
                                        std::span<std::uint8_t> out) {
  if (!budget_.take_bytes(out.size())) {
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

Result<void> KernelReader::read(GuestVirtual object, const Extent &extent,
                                std::span<std::uint8_t> out) {
  if (extent.part_count <= 1) {
    return read(object.plus_wrapping(extent.begin), out);
  }
  if (!budget_.step()) {
    return fault(FaultCode::LimitReached, object.raw());
  }
  for (const Extent::Part &part : std::span(extent.parts).first(extent.part_count)) {
    const auto done = counted_read(space_, object.plus_wrapping(part.begin),
                                   out.subspan(part.begin - extent.begin, part.end - part.begin));
    if (!done) {
      return done;
    }
  }
  return {};
}

Result<void> KernelReader::read_physical(GuestPhysical address, std::span<std::uint8_t> out) {
  return charged_read(space_.memory(), address, out);
}

void KernelReader::nap() {
  if (naps_left_ > 0) {
    --naps_left_;
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

std::optional<Fault> KernelReader::cut_short() const {
  if (source_gone_) {
    return source_gone_;
  }
  return budget_.exhausted() ? std::optional(Fault{FaultCode::LimitReached, 0}) : std::nullopt;
}

Result<GuestVirtual> KernelReader::pointer(GuestVirtual address) {
  std::uint64_t value = 0;
  const auto done = words(address, {&value, 1});
  if (!done) {
    return tl::unexpected(done.error());
  }
  return GuestVirtual(value);
}

Result<void> KernelReader::words(GuestVirtual address, std::span<std::uint64_t> out) {
  return read(address, {reinterpret_cast<std::uint8_t *>(out.data()), out.size_bytes()});
}

Result<void> ObjectCopy::load(KernelReader &reader, GuestVirtual address) {
  address_ = address;
  return reader.read(address, extent_,
                     {large_.empty() ? small_.data() : large_.data(), extent_.size()});
}

} // namespace outguard::guest
