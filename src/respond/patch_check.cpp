#include "respond/patch_check.h"

#include <array>
#include <cstring>

namespace outguard::respond {

namespace {

constexpr std::uint64_t kPageSize = 4096;

std::uint64_t width_mask(std::uint8_t width) {
  return width == 8 ? ~0ULL : (1ULL << (8 * width)) - 1;
}

} // namespace

const char *problem_of(const Patch &patch) {
  if (patch.width != 1 && patch.width != 2 && patch.width != 4 && patch.width != 8) {
    return "has a width other than 1, 2, 4 or 8";
  }
  if (patch.address % kPageSize + patch.width > kPageSize) {
    return "crosses a page";
  }
  const std::uint64_t fits = width_mask(patch.width);
  if (((patch.expect_mask | patch.write_mask) & ~fits) != 0) {
    return "has a mask wider than itself";
  }
  if ((patch.expect & ~patch.expect_mask) != 0 || (patch.value & ~patch.write_mask) != 0) {
    return "has bits outside its mask";
  }
  if ((patch.expect_mask | patch.write_mask) == 0) {
    return "neither expects nor writes";
  }
  return nullptr;
}

Result<std::uint64_t> load(hypervisor::VmControl &control, const Patch &patch) {
  std::array<std::uint8_t, 8> bytes{};
  const auto done = control.read(patch.address, std::span(bytes).first(patch.width));
  if (!done) {
    return tl::unexpected(done.error());
  }
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Result<bool> expectation_holds(hypervisor::VmControl &control, const Patch &patch) {
  return load(control, patch).map([&](std::uint64_t now) {
    return (now & patch.expect_mask) == patch.expect;
  });
}

} // namespace outguard::respond
