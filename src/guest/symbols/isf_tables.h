#pragma once
// What an ISF file (Volatility 3's JSON) says of one kernel: its types, and its symbols at the
// addresses that it was linked for. Names are kept as hashes, a record has no more than 40 bytes:
// a Debian kernel takes 10 MiB. Filled by isf_reader.h, then immutable but for relocate().

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "guest/symbols/name_hash.h"
#include "guest/symbols/symbol_table.h"
#include "guest/symbols/type_table.h"

namespace outguard::guest {

/// What a field's type comes down to, behind arrays and bit fields.
struct IsfType {
  enum class Kind : std::uint8_t { Unknown, Base, Enum, Composite, Pointer };
  Kind kind = Kind::Unknown;
  bool is_bit_field = false;
  std::uint8_t bit_position = 0;
  std::uint8_t bit_length = 0;
  std::uint32_t elements = 1; ///< of all dimensions
  std::uint64_t name = 0;     ///< its hash
};

class IsfTypeTable final : public TypeTable {
public:
  struct Field {
    std::uint64_t name = 0;
    std::uint32_t offset = 0; ///< bytes
    bool unnamed = false;     ///< its members count as the outer type's
    IsfType type;
  };
  using Kind = IsfType::Kind;

  // While the file is read; seal() ends that.
  void add_size(Kind kind, std::string_view name, std::uint32_t bytes);
  void add_field(const Field &field) { fields_.push_back(field); }
  /// The fields added since the last composite are its own.
  void add_composite(std::string_view name, std::uint32_t bytes);
  void add_enumerator(std::string_view name, std::int64_t value);
  /// LimitReached once there is more than any kernel has.
  [[nodiscard]] Result<void> check_limits() const;
  void seal();

  [[nodiscard]] Result<Member> member(std::string_view type, std::string_view path) const override;
  [[nodiscard]] Result<std::uint32_t> size_of(std::string_view type) const override;
  [[nodiscard]] std::optional<std::int64_t> enumerator(std::string_view name) const override;
  [[nodiscard]] std::size_t size() const { return composites_.size(); }

private:
  struct Composite {
    std::uint64_t name = 0;
    std::uint32_t bytes = 0;
    std::uint32_t first_field = 0;
    std::uint32_t fields = 0;
  };
  struct Sized {
    std::uint64_t name = 0;
    std::uint32_t bytes = 0;
  };
  struct Enumerator {
    std::uint64_t name = 0;
    std::int64_t value = 0;
  };
  /// How this file counts a bit field's position: tools differ.
  enum class BitOrder : std::uint8_t { Unknown, FromLow, FromHigh };
  struct Search;

  [[nodiscard]] const Composite *find_composite(std::uint64_t name) const;
  [[nodiscard]] std::span<const Field> fields_of(const Composite &composite) const;
  [[nodiscard]] const Field *find_field(std::uint64_t composite, std::uint64_t name,
                                        Search &search) const;
  [[nodiscard]] std::uint64_t size_of_type(const IsfType &type) const;
  [[nodiscard]] Result<Member> describe(const Field &field, std::uint64_t offset) const;
  [[nodiscard]] BitOrder find_bit_order() const;

  std::vector<Composite> composites_;
  std::vector<Field> fields_;
  std::uint32_t fields_taken_ = 0; ///< by composites so far
  std::vector<Sized> bases_, enums_;
  std::vector<Enumerator> enumerators_;
  BitOrder bit_order_ = BitOrder::Unknown;
};

class IsfSymbolTable final : public SymbolTable {
public:
  /// As linked; 0 stands for an address that the file does not know, and is not kept.
  void add(std::string_view name, std::uint64_t address);
  [[nodiscard]] Result<void> check_limits() const;
  void seal();
  /// Where KASLR put the image, against the address that it was linked for.
  void relocate(std::uint64_t kaslr_offset) { kaslr_offset_ = kaslr_offset; }

  [[nodiscard]] std::optional<GuestVirtual> find(std::string_view name) const override;
  [[nodiscard]] std::size_t size() const { return symbols_.size(); }

private:
  struct Symbol {
    std::uint64_t name = 0;
    std::uint64_t address = 0;
  };
  std::vector<Symbol> symbols_;
  std::uint64_t kaslr_offset_ = 0;
};

struct IsfFile {
  std::string banner; ///< linux_banner of the kernel that it was made of, without the line's end
  std::unique_ptr<IsfTypeTable> types;
  std::unique_ptr<IsfSymbolTable> symbols;
};

} // namespace outguard::guest
