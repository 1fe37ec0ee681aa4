#pragma once
// Reads guest-physical memory. One private virtual does the raw work; every check, loop and limit
// is here, written once. Back ends: QemuMemory, DumpFileMemory, FakeMemory.
// Read-only by construction: nothing in guest/ can name a write. One thread at a time.

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "guest/bytes/address.h"
#include "guest/bytes/fault.h"
#include "guest/bytes/untrusted.h"

namespace outguard::guest {

/// A run of guest-physical addresses backed by RAM. Ranges are sorted and do not overlap.
struct PhysicalRange {
  GuestPhysical start;
  std::uint64_t length = 0; ///< bytes
};

class MemoryReader {
public:
  MemoryReader() = default;
  MemoryReader(const MemoryReader &) = delete;
  MemoryReader &operator=(const MemoryReader &) = delete;
  virtual ~MemoryReader() = default;

  /// Fills all of `out`, or tells why not (then `out` is unspecified). May cross range borders.
  [[nodiscard]] Result<void> read(GuestPhysical address, std::span<std::uint8_t> out) {
    const std::uint64_t inside = address.raw() - window_.start.raw();
    if (out.size() <= window_.most && inside < window_.length &&
        out.size() <= window_.length - inside) {
      std::memcpy(out.data(), window_.bytes + inside, out.size());
      return {};
    }
    return read_loop(address, out);
  }

  template <class T> [[nodiscard]] Result<Untrusted<T>> read(GuestPhysical address) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    const auto done = read(address, {reinterpret_cast<std::uint8_t *>(&value), sizeof value});
    if (!done) {
      return tl::unexpected(done.error());
    }
    return Untrusted<T>(value);
  }

  /// How many reads wanted memory where the guest has none: wild pointers, or RAM that was added
  /// since the layout was asked for.
  [[nodiscard]] std::uint64_t outside() const { return outside_; }

  /// True where every read costs a system call, however short: a PageStore in front then pays.
  [[nodiscard]] virtual bool is_costly() const { return false; }
  /// Whoever keeps copies reads anew from now on: all of them, or those of a range.
  virtual void renew() {}
  virtual void renew(GuestPhysical /*address*/, std::size_t /*length*/) {}
  /// The same memory without copies: for what is looked at once, such as a process's page tables.
  [[nodiscard]] virtual MemoryReader &uncached() { return *this; }

  /// The guest's RAM. Stable for the life of the reader.
  [[nodiscard]] virtual std::span<const PhysicalRange> ranges() const = 0;

protected:
  /// RAM that is mapped here: reads inside need not ask the back end.
  struct Window {
    GuestPhysical start;
    std::uint64_t length = 0; ///< bytes
    std::size_t most = 0;     ///< longer reads ask all the same
    const std::uint8_t *bytes = nullptr;
  };
  void look_through(const Window &window) { window_ = window; }

private:
  [[nodiscard]] Result<void> read_loop(GuestPhysical address, std::span<std::uint8_t> out);
  /// Reads up to out.size() bytes starting at `address`; returns how many (at least 1), Unmapped
  /// when no RAM is there, SourceGone when the operating system failed.
  [[nodiscard]] virtual Result<std::size_t> read_some(GuestPhysical address,
                                                      std::span<std::uint8_t> out) = 0;

  Window window_;
  std::uint64_t outside_ = 0;
};

} // namespace outguard::guest
