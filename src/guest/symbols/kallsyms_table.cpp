#include "guest/symbols/kallsyms_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "guest/symbols/kallsyms_layout.h"
#include "guest/symbols/name_hash.h"

namespace outguard::guest {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kMaxNameBytes = 1024; ///< KSYM_NAME_LEN is 512; longer ones are left out
constexpr std::string_view kBannerStart = "Linux version ";

/// Expands the compressed names: the hot loop of an attach, with some million tokens.
class NameExpander {
public:
  NameExpander(Bytes bytes, const KallsymsLayout &layout) : bytes_(bytes) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const std::size_t index = layout.token_index + 2 * i;
      const std::size_t start =
          layout.token_table + static_cast<std::size_t>(bytes[index] | bytes[index + 1] << 8);
      const auto *text = reinterpret_cast<const char *>(&bytes[start]);
      Token &token = tokens_[i];
      token.whole = {text, strnlen(text, bytes.size() - start)};
      std::memcpy(token.head.data(), text, std::min(token.whole.size(), token.head.size()));
    }
  }

  /// The name without the type letter in front; valid until the next call. Empty: too long.
  std::string_view expand(const NameRecord &record) {
    std::size_t length = 0;
    for (const std::uint8_t number : bytes_.subspan(record.start, record.length)) {
      const Token &token = tokens_[number];
      if (token.whole.size() > kMaxNameBytes - length) {
        return {};
      }
      if (token.whole.size() <= kHeadBytes) { // a copy of fixed size costs one instruction
        std::memcpy(&buffer_[length], token.head.data(), kHeadBytes);
      } else {
        std::memcpy(&buffer_[length], token.whole.data(), token.whole.size());
      }
      length += token.whole.size();
    }
    return length < 2 ? std::string_view{} : std::string_view(&buffer_[1], length - 1);
  }

private:
  static constexpr std::size_t kHeadBytes = 16;
  struct Token {
    std::string_view whole;
    std::array<char, kHeadBytes> head{};
  };

  Bytes bytes_;
  std::array<Token, 256> tokens_;
  std::array<char, kMaxNameBytes + kHeadBytes> buffer_{};
};

/// The ways in which a kernel stored addresses.
enum class AddressForm : std::uint8_t {
  PerCpuAbsolute, ///< 4.6 to 6.14: not negative is absolute, else base - 1 - offset
  BaseRelative,   ///< from 6.15 (and without SMP): base + offset, unsigned
  SelfRelative,   ///< from 7.0: relative to where the offset itself stands
};

struct AddressTable {
  AddressForm form = AddressForm::PerCpuAbsolute;
  std::size_t offsets = 0; ///< position of the first, in the copy
  std::uint64_t base = 0;
  GuestVirtual start; ///< of the copy, in the guest

  [[nodiscard]] std::uint64_t address(Bytes bytes, std::uint32_t number) const {
    const std::size_t position = offsets + std::size_t{number} * sizeof(std::uint32_t);
    const std::uint32_t offset = word_at(bytes, position);
    const auto distance = static_cast<std::uint64_t>(static_cast<std::int32_t>(offset));
    switch (form) {
    case AddressForm::PerCpuAbsolute:
      return (offset >> 31) == 0 ? offset : base - 1 - distance;
    case AddressForm::BaseRelative:
      return base + offset;
    case AddressForm::SelfRelative:
      return start.raw() + position + distance;
    }
    return 0;
  }
};

std::uint64_t long_word_at(Bytes bytes, std::size_t position) {
  return word_at(bytes, position) | std::uint64_t{word_at(bytes, position + 4)} << 32;
}

/// Every place and form that the offsets of these tables may have.
std::vector<AddressTable> address_tables(Bytes bytes, const KallsymsLayout &layout,
                                         GuestVirtual start) {
  const auto align = [](std::size_t value) { return (value + 7) & ~std::size_t{7}; };
  const std::size_t offsets_bytes = std::size_t{layout.count} * sizeof(std::uint32_t);
  std::vector<AddressTable> tables;
  const auto add = [&](AddressForm form, std::size_t offsets, std::uint64_t base) {
    if (offsets <= bytes.size() && offsets_bytes <= bytes.size() - offsets) {
      tables.push_back({form, offsets, base, start});
    }
  };
  if (const std::size_t before = 8 + align(offsets_bytes); layout.count_position >= before) {
    const std::uint64_t base = long_word_at(bytes, layout.count_position - 8);
    add(AddressForm::PerCpuAbsolute, layout.count_position - before, base);
    add(AddressForm::BaseRelative, layout.count_position - before, base);
  }
  const std::size_t behind = layout.token_index + 512;
  const std::uint64_t base = long_word_at(bytes, align(behind + offsets_bytes));
  add(AddressForm::PerCpuAbsolute, behind, base);
  add(AddressForm::BaseRelative, behind, base);
  add(AddressForm::SelfRelative, behind, 0);
  return tables;
}

bool fits_32_bits(std::uint64_t address) {
  return address ==
         static_cast<std::uint64_t>(static_cast<std::int32_t>(static_cast<std::uint32_t>(address)));
}

} // namespace

class KallsymsDecoder {
public:
  KallsymsDecoder(Bytes bytes, const KallsymsLayout &layout) : bytes_(bytes), layout_(layout) {}

  /// One pass over the names; entries hold the numbers of the symbols.
  std::unique_ptr<KallsymsTable> index_names() {
    std::vector<std::uint64_t> hashes(layout_.count);
    NameExpander expander(bytes_, layout_);
    std::size_t at = layout_.names;
    for (std::uint64_t &hash : hashes) {
      const auto record = name_record(bytes_, at); // all were checked when the layout was found
      hash = name_hash(expander.expand(*record));
      at = record->start + record->length;
    }
    const std::size_t buckets = std::bit_ceil(hashes.size() / 2 + 1);
    auto table = std::make_unique<KallsymsTable>();
    table->bucket_starts_.assign(buckets + 1, 0);
    table->entries_.resize(hashes.size());
    for (const std::uint64_t hash : hashes) {
      ++table->bucket_starts_[(hash & (buckets - 1)) + 1];
    }
    for (std::size_t i = 1; i <= buckets; ++i) {
      table->bucket_starts_[i] += table->bucket_starts_[i - 1];
    }
    std::vector<std::uint32_t> next(table->bucket_starts_.begin(), table->bucket_starts_.end() - 1);
    for (std::uint32_t number = 0; number < layout_.count; ++number) {
      const std::uint64_t hash = hashes[number];
      table->entries_[next[hash & (buckets - 1)]++] = {static_cast<std::uint32_t>(hash >> 32),
                                                       number};
    }
    return table;
  }

  /// Whether the addresses of this form lead to what their names promise.
  [[nodiscard]] bool holds(const KallsymsTable &table, const AddressTable &addresses,
                           GuestVirtual text, const AddressSpace &space) const {
    const auto find = [&](std::string_view name) -> std::optional<GuestVirtual> {
      const auto *entry = table.find_entry(name);
      return entry == nullptr
                 ? std::nullopt
                 : std::optional(GuestVirtual(addresses.address(bytes_, entry->value)));
    };
    const auto banner = find("linux_banner");
    if (!banner) {
      return find("_text") == text;
    }
    std::array<std::uint8_t, kBannerStart.size()> begin{};
    return space.read(*banner, begin) &&
           std::memcmp(begin.data(), kBannerStart.data(), begin.size()) == 0;
  }

  void set_addresses(KallsymsTable &table, const AddressTable &addresses) const {
    for (auto &entry : table.entries_) {
      const std::uint64_t address = addresses.address(bytes_, entry.value);
      entry.value = fits_32_bits(address) ? static_cast<std::uint32_t>(address) : 0;
    }
  }

private:
  Bytes bytes_;
  const KallsymsLayout &layout_;
};

Result<std::unique_ptr<KallsymsTable>> KallsymsTable::find_in(Bytes bytes, GuestVirtual start,
                                                              GuestVirtual text,
                                                              const AddressSpace &space,
                                                              WalkBudget &budget) {
  constexpr std::uint64_t kCostOfName = 64; ///< in words looked at: expanded, hashed, sorted in
  for (std::size_t from = 0;;) {
    const auto layout = find_kallsyms_layout(bytes, from, budget);
    if (!layout) {
      return tl::unexpected(layout.error());
    }
    if (!budget.take_bytes(layout->count * kCostOfName)) {
      return fault(FaultCode::LimitReached, start.raw());
    }
    KallsymsDecoder decoder(bytes, *layout);
    auto table = decoder.index_names();
    for (const AddressTable &addresses : address_tables(bytes, *layout, start)) {
      if (decoder.holds(*table, addresses, text, space)) {
        decoder.set_addresses(*table, addresses);
        return table;
      }
    }
    from = layout->token_index + 1;
  }
}

const KallsymsTable::Entry *KallsymsTable::find_entry(std::string_view name) const {
  if (bucket_starts_.empty()) {
    return nullptr;
  }
  const std::uint64_t hash = name_hash(name);
  const std::size_t bucket = hash & (bucket_starts_.size() - 2);
  const auto fingerprint = static_cast<std::uint32_t>(hash >> 32);
  for (std::uint32_t i = bucket_starts_[bucket]; i < bucket_starts_[bucket + 1]; ++i) {
    if (entries_[i].fingerprint == fingerprint) {
      return &entries_[i];
    }
  }
  return nullptr;
}

std::optional<GuestVirtual> KallsymsTable::find(std::string_view name) const {
  const Entry *entry = find_entry(name);
  if (entry == nullptr) {
    return std::nullopt;
  }
  return GuestVirtual(static_cast<std::uint64_t>(static_cast<std::int32_t>(entry->value)));
}

} // namespace outguard::guest
