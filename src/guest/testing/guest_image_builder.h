#pragma once
// Builds a guest for tests: page tables in a FakeMemory, and bytes at virtual addresses. Pages are
// 4 KiB unless asked otherwise. One thread at a time.
//
//   GuestImageBuilder guest;                       // or PagingLevels::Five
//   const GuestVirtual task = guest.allocate(9000); // zeroed, in a direct map of its own
//   guest.put(task.plus_wrapping(16), std::uint32_t{42});
//   LinuxWalker walker(guest.space(), ...);

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "guest/memory/address_space.h"
#include "guest/testing/fake_memory.h"

namespace outguard::guest {

enum class PageSize : std::uint64_t {
  Small = std::uint64_t{4} << 10,
  Large = std::uint64_t{2} << 20,
  Huge = std::uint64_t{1} << 30,
};

/// How a page may be used, as the entry says.
struct PageRights {
  bool writable = true;
  bool executable = true;
};

class GuestImageBuilder {
public:
  /// `lowest`: where its RAM begins.
  explicit GuestImageBuilder(PagingLevels levels = PagingLevels::Four,
                             GuestPhysical lowest = GuestPhysical(0x10'0000));

  [[nodiscard]] FakeMemory &memory() { return *memory_; }
  [[nodiscard]] GuestPhysical root() const { return root_; }
  [[nodiscard]] AddressSpace space() { return {*memory_, root_, levels_}; }

  /// A further, empty page-table root (another process); use it with the calls that take a root.
  [[nodiscard]] GuestPhysical new_root() { return allocate_physical(4096, 4096); }
  [[nodiscard]] AddressSpace space_of(GuestPhysical root) { return {*memory_, root, levels_}; }

  /// Backs [address, address + length) with fresh zeroed pages where nothing is mapped yet.
  void map(GuestVirtual address, std::uint64_t length, PageRights rights = {});
  void map_in(GuestPhysical root, GuestVirtual address, std::uint64_t length,
              PageRights rights = {});
  /// Maps one page to a chosen frame; an entry that stands there is replaced.
  void map_page(GuestPhysical root, GuestVirtual address, GuestPhysical frame,
                PageSize size = PageSize::Small, PageRights rights = {});
  /// Clears the last-level entry of the 4 KiB page.
  void unmap(GuestVirtual address);

  /// Zeroed memory in a region of the builder's own, at 0xffff888000000000 and up (under five
  /// levels 0xff11000000000000), every object a gap apart, so that an overrun reads zeros and not a
  /// neighbour.
  [[nodiscard]] GuestVirtual allocate(std::uint64_t length, std::uint64_t alignment = 64);
  struct Object {
    GuestVirtual address;
    std::uint64_t size = 0; ///< bytes
  };
  /// All that was allocated so far, by address.
  [[nodiscard]] const std::vector<Object> &objects() const { return objects_; }
  /// Zeroed physical memory, mapped nowhere.
  [[nodiscard]] GuestPhysical allocate_physical(std::uint64_t length, std::uint64_t alignment = 64);

  /// Writes at a virtual address, mapping fresh pages where none are.
  void write(GuestVirtual address, std::span<const std::uint8_t> bytes);
  void write_in(GuestPhysical root, GuestVirtual address, std::span<const std::uint8_t> bytes);
  template <class T> void put(GuestVirtual address, const T &value) {
    static_assert(std::is_trivially_copyable_v<T>);
    write(address, {reinterpret_cast<const std::uint8_t *>(&value), sizeof value});
  }
  void put_pointer(GuestVirtual address, GuestVirtual target) { put(address, target.raw()); }
  /// The characters and a NUL.
  void put_text(GuestVirtual address, std::string_view text);

private:
  [[nodiscard]] GuestPhysical entry_for(GuestPhysical root, GuestVirtual address, PageSize size);

  std::unique_ptr<FakeMemory> memory_ = std::make_unique<FakeMemory>();
  PagingLevels levels_;
  GuestPhysical next_physical_;
  GuestVirtual next_virtual_;
  std::vector<Object> objects_;
  GuestPhysical root_;
};

} // namespace outguard::guest
