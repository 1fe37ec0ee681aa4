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

#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>
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
  /// The extent's parts, each to its place in `out`, which has the whole extent's size: one step.
  [[nodiscard]] Result<void> read(GuestVirtual object, const Extent &extent,
                                  std::span<std::uint8_t> out);
  [[nodiscard]] Result<void> read_physical(GuestPhysical address, std::span<std::uint8_t> out);
  [[nodiscard]] Result<GuestVirtual> pointer(GuestVirtual address);
  /// An array of words or pointers, in one step.
  [[nodiscard]] Result<void> words(GuestVirtual address, std::span<std::uint64_t> out);
  /// Call once an element that costs no read; false: the walk must end.
  [[nodiscard]] bool step() { return budget_.step(); }
  /// Lets a processor of the guest go on that lost its turn in the middle: waits 300 us, at most
  /// eight times in the reader's life; does nothing then.
  void nap();

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
  template <class Source, class Address> // by its bytes alone
  [[nodiscard]] Result<void> counted_read(Source &source, Address address,
                                          std::span<std::uint8_t> out);

  const AddressSpace &space_;
  WalkBudget budget_;
  int naps_left_ = 8;
  std::optional<Fault> source_gone_; ///< the first one
};

class ObjectCopy {
public:
  explicit ObjectCopy(const Extent &extent)
      : extent_(extent), large_(extent.size() > kSmall ? extent.size() + kWord : 0) {}

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
    assert(extent_.is_copied(member));
    return std::span(data(), extent_.size()).subspan(member.offset - extent_.begin, member.size);
  }

private:
  /// Nearly every object fits: task_struct's bound members lie within 3 to 4 KiB.
  static constexpr std::size_t kSmall = 4096;
  static constexpr std::size_t kWord = 8; ///< behind the last member: see number()
  [[nodiscard]] const std::uint8_t *data() const {
    return large_.empty() ? small_.data() : large_.data();
  }

  Extent extent_;
  GuestVirtual address_;
  std::vector<std::uint8_t> large_;
  std::array<std::uint8_t, kSmall + kWord>
      small_; ///< not initialised: load() fills what members lie in
};

inline std::uint64_t ObjectCopy::number(const Member &member) const {
  std::uint64_t value = 0; // little-endian; bytes() has at least eight from here on
  std::memcpy(&value, bytes(member).data(), sizeof value);
  assert(member.size >= 1 && member.size <= sizeof value); // StructBinder saw to it
  const unsigned above = (64 - member.size * 8) & 63;
  value = value << above >> above;
  if (member.bit_size != 0) {
    value = value >> member.bit_offset & ((std::uint64_t{1} << member.bit_size) - 1);
  }
  return value;
}

} // namespace outguard::guest
