#pragma once
// Builds BTF sections for tests, record by record, so that wrong ones can be built as well: nothing
// is checked. Type ids are handed out in order, from 1.
//
//   BtfBuilder btf;
//   const auto integer = btf.add_int("int", 4);
//   btf.add_composite(BtfKind::Struct, "task_struct", 64, {{"pid", integer, 32 * 8}});
//   auto table = BtfTypeTable::parse(btf.build());

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace outguard::guest {

enum class BtfKind : std::uint8_t {
  Int = 1,
  Pointer,
  Array,
  Struct,
  Union,
  Enum,
  Forward,
  Typedef,
  Volatile,
  Const,
  Restrict,
  Function,
  FunctionPrototype,
  Variable,
  DataSection,
  Float,
  DeclarationTag,
  TypeTag,
  Enum64,
};

class BtfBuilder {
public:
  struct MemberOf {
    std::string name; ///< empty: unnamed
    std::uint32_t type = 0;
    std::uint32_t bit_offset = 0;
    std::uint8_t bit_size = 0; ///< not 0 for any member: the kind_flag form is written
  };
  struct Enumerator {
    std::string name;
    std::int64_t value = 0;
  };

  std::uint32_t add_int(std::string_view name, std::uint32_t size);
  std::uint32_t add_array(std::uint32_t element, std::uint32_t count);
  /// Pointer, Typedef, Const, Volatile, Restrict, TypeTag, Function.
  std::uint32_t add_reference(BtfKind kind, std::string_view name, std::uint32_t type);
  std::uint32_t add_composite(BtfKind kind, std::string_view name, std::uint32_t size,
                              const std::vector<MemberOf> &members);
  std::uint32_t add_enum(std::string_view name, const std::vector<Enumerator> &values,
                         bool is_signed = false);
  std::uint32_t add_enum64(std::string_view name, const std::vector<Enumerator> &values);
  /// Any record at all: `info` and what follows as they are.
  std::uint32_t add_raw(std::uint32_t name, std::uint32_t info, std::uint32_t size_or_type,
                        const std::vector<std::uint32_t> &extra);

  [[nodiscard]] std::uint32_t string(std::string_view text);
  [[nodiscard]] std::uint32_t next_id() const { return next_id_; }
  [[nodiscard]] std::vector<std::uint8_t> build() const;

private:
  void word(std::uint32_t value);

  std::vector<std::uint8_t> types_;
  std::string strings_ = std::string(1, '\0');
  std::uint32_t next_id_ = 1;
};

} // namespace outguard::guest
