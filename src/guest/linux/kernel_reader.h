#pragma once
// Kernel memory as one walk sees it: every read, also one that fails, is charged to the walk's
// budget as a step and as its bytes; what ends all later reads is remembered. ObjectCopy is the
// bytes of one structure, copied once; its members are taken from the copy, never read again.
// Borrows the address space. Made for one walk, dropped after it.
//
// Memory whose reads are costly is kept by the page for one generation (PageStore), so a second
// look must be of a later one, or it only agrees with its own copy: a new reader begins a
// generation, renew() the next. What reads the same in two generations held at the moment between
// them.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/bytes/walk_budget.h"
#include "guest/linux/struct_binder.h"
#include "guest/memory/address_space.h"

namespace outguard::guest {

class KernelReader {
public:
  KernelReader(const AddressSpace &space, WalkBudget budget) : space_(space), budget_(budget) {
    renew();
  }

  [[nodiscard]] Result<void> read(GuestVirtual address, std::span<std::uint8_t> out);
  [[nodiscard]] Result<void> read_physical(GuestPhysical address, std::span<std::uint8_t> out);
  [[nodiscard]] Result<GuestVirtual> pointer(GuestVirtual address);
  /// Call once an element that costs no read; false: the walk must end.
  [[nodiscard]] bool step() { return budget_.step(); }

  /// What is read from now on is newer than what was read before: all of it, or these bytes.
  void renew() { space_.memory().renew(); }
  void renew(GuestVirtual address, std::size_t length);

  [[nodiscard]] const AddressSpace &space() const { return space_; }
  [[nodiscard]] WalkBudget &budget() { return budget_; }

  /// Why the walk saw less than there is, whatever its lists looked like: the budget ran out, or
  /// the guest's memory went away. Ask at the end of every walk.
  [[nodiscard]] std::optional<Fault> cut_short() const;

private:
  template <class Source, class Address>
  [[nodiscard]] Result<void> charged_read(Source &source, Address address,
                                          std::span<std::uint8_t> out);

  const AddressSpace &space_;
  WalkBudget budget_;
  std::optional<Fault> source_gone_; ///< the first one
};

class ObjectCopy {
public:
  explicit ObjectCopy(Extent extent) : extent_(extent), bytes_(extent.size()) {}

  /// Copies the structure at `address`; on failure the copy is unspecified.
  [[nodiscard]] Result<void> load(KernelReader &reader, GuestVirtual address);

  [[nodiscard]] GuestVirtual address() const { return address_; }
  /// Zero-extended; of a bit field just its bits. The member must lie in the extent.
  [[nodiscard]] std::uint64_t number(const Member &member) const;
  [[nodiscard]] std::int32_t signed_number(const Member &member) const {
    return static_cast<std::int32_t>(number(member));
  }
  [[nodiscard]] GuestVirtual pointer(const Member &member) const {
    return GuestVirtual(number(member));
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes(const Member &member) const {
    return std::span(bytes_).subspan(member.offset - extent_.begin, member.size);
  }

private:
  Extent extent_;
  std::vector<std::uint8_t> bytes_;
  GuestVirtual address_;
};

} // namespace outguard::guest
