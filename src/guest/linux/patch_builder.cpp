#include "guest/linux/patch_builder.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

std::uint64_t full_mask(std::uint32_t bytes) {
  return bytes >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << bytes * 8) - 1;
}

} // namespace

void PatchBuilder::expect(GuestVirtual object, const Member &member, std::uint64_t value) {
  add(object, member, full_mask(member.size), value, 0, 0);
}

void PatchBuilder::expect_process(const Task &leader, const TaskLayout &layout) {
  expect(leader.address, layout.pid, static_cast<std::uint32_t>(leader.pid));
  expect(leader.address, layout.tgid, static_cast<std::uint32_t>(leader.tgid));
  expect(leader.address, layout.start_boottime, leader.start_boottime_ns);
  expect(leader.address, layout.signal, leader.signal.raw());
}

void PatchBuilder::set_bit(GuestVirtual object, const Member &member, std::uint64_t bit) {
  add(object, member, 0, 0, bit, bit);
}

tl::expected<std::vector<Patch>, KillRefusal> PatchBuilder::finish() {
  if (trouble_) {
    return tl::unexpected(*trouble_);
  }
  return std::move(patches_);
}

void PatchBuilder::add(GuestVirtual object, const Member &member, std::uint64_t expect_mask,
                       std::uint64_t expected, std::uint64_t write_mask, std::uint64_t value) {
  const GuestVirtual address = object.plus_wrapping(member.offset);
  const auto physical = reader_.space().translate(address);
  if (!physical || address.raw() % kPageBytes + member.size > kPageBytes) {
    trouble_ = trouble_.value_or(KillRefusal::Unreadable);
    return;
  }
  patches_.push_back({physical->raw(), static_cast<std::uint8_t>(member.size), expect_mask,
                      expected, write_mask, value});
}

} // namespace outguard::guest
