#pragma once
// The kernel's symbols, out of its kallsyms tables: found in a copy of the kernel's read-only data,
// indexed once in one pass over the names. Keeps eight bytes a symbol and no name. Immutable.

#include <memory>
#include <span>
#include <vector>

#include "guest/memory/address_space.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class KallsymsTable final : public SymbolTable {
public:
  /// `bytes` is a copy of what the guest has at `start`. The tables found there are proven by what
  /// they lead to: linux_banner must begin with "Linux version ", or, where the kernel lists no
  /// data symbols, _text must be the first mapped page `text`. NotFound: no tables that hold.
  [[nodiscard]] static Result<std::unique_ptr<KallsymsTable>>
  find_in(std::span<const std::uint8_t> bytes, GuestVirtual start, GuestVirtual text,
          const AddressSpace &space, WalkBudget &budget);
  /// For all calls of one search together; a real kernel's tables take 11 million.
  [[nodiscard]] static WalkBudget search_budget() { return {0, 64'000'000}; }

  [[nodiscard]] std::optional<GuestVirtual> find(std::string_view name) const override;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
  friend class KallsymsDecoder;
  /// Kernel addresses are the top 2 GiB, per-CPU ones (up to 6.14) the bottom: 32 bits,
  /// sign-extended.
  struct Entry {
    std::uint32_t fingerprint = 0; ///< the half of the name's hash that does not pick the bucket
    std::uint32_t value = 0;       ///< the address; while decoding, the number of the symbol
  };

  [[nodiscard]] const Entry *find_entry(std::string_view name) const;

  std::vector<std::uint32_t> bucket_starts_; ///< one more than buckets; a power of two of those
  std::vector<Entry> entries_;               ///< by bucket, in a bucket in table order
};

} // namespace outguard::guest
