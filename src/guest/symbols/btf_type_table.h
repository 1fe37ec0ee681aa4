#pragma once
// Structure layouts out of the kernel's own BTF (Documentation/bpf/btf.rst). Owns a copy of the BTF
// section, checked record by record when parsed; lookups walk the copy with limits of their own,
// since a hostile guest may build types that contain themselves. Immutable.

#include <memory>
#include <span>
#include <vector>

#include "guest/symbols/btf_section.h"
#include "guest/symbols/type_table.h"

namespace outguard::guest {

class BtfTypeTable final : public TypeTable {
public:
  /// The fault's address is the offset in the section.
  [[nodiscard]] static Result<std::unique_ptr<BtfTypeTable>>
  parse(std::vector<std::uint8_t> section);

  [[nodiscard]] Result<Member> member(std::string_view type, std::string_view path) const override;
  [[nodiscard]] Result<std::uint32_t> size_of(std::string_view type) const override;
  [[nodiscard]] std::optional<std::int64_t> enumerator(std::string_view name) const override;

private:
  struct Record;
  struct MemberSearch;
  BtfTypeTable() = default;

  [[nodiscard]] Result<void> index_types(std::size_t begin, std::size_t end);
  void index_names();
  [[nodiscard]] std::optional<Record> record(std::uint32_t id) const;
  [[nodiscard]] std::string_view text(std::uint32_t offset) const;
  [[nodiscard]] bool is_text(std::uint32_t offset, std::string_view name) const;
  [[nodiscard]] std::optional<std::uint32_t> find_composite(std::string_view name) const;
  [[nodiscard]] std::optional<std::uint32_t> strip(std::uint32_t id) const;
  [[nodiscard]] std::optional<std::uint64_t> size_of_id(std::uint32_t id) const;
  [[nodiscard]] bool find_member(std::uint32_t id, std::string_view name, std::uint64_t base_bits,
                                 MemberSearch &search) const;
  [[nodiscard]] Result<Member> describe(const MemberSearch &found) const;

  std::vector<std::uint8_t> section_;
  std::size_t strings_ = 0; ///< position in section_
  std::size_t strings_end_ = 0;
  std::vector<std::uint32_t> positions_; ///< of each type by id; id 0 is void
  std::vector<std::uint32_t> names_; ///< open addressing: ids of named structs, unions, typedefs
};

} // namespace outguard::guest
