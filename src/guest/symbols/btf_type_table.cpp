#include "guest/symbols/btf_type_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "guest/bytes/byte_cursor.h"
#include "guest/symbols/name_hash.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kRecordBytes = 12;                ///< struct btf_type
constexpr std::size_t kMaxTypes = std::size_t{1} << 20; ///< Debian's have 100,000 to 200,000
constexpr std::size_t kMaxNameBytes = 256;              ///< of a type; longer ones are not found
constexpr int kMaxProbes = 256; ///< a guest may make all names collide; by chance 40 is much
constexpr int kMaxChain = 32;   ///< typedef of const of typedef ...: 5 is much
constexpr int kMaxNesting = 16; ///< unnamed members in unnamed members: 4 is much
constexpr std::uint32_t kMaxVisits =
    100'000; ///< members looked at in one lookup; task_struct has 300
constexpr std::uint64_t kMaxTypeBytes = std::uint64_t{1} << 31;

enum Kind : std::uint8_t {
  Void,
  Int,
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

bool is_composite(std::uint8_t kind) {
  return kind == Struct || kind == Union;
}
bool is_modifier(std::uint8_t kind) {
  return kind == Typedef || kind == Volatile || kind == Const || kind == Restrict ||
         kind == TypeTag;
}

/// What stands behind the record itself, by kind: bytes, and bytes for each element.
struct Extra {
  std::uint8_t fixed = 0;
  std::uint8_t element = 0;
};
constexpr std::array<Extra, 20> kExtra = [] {
  std::array<Extra, 20> extra{};
  extra[Int] = extra[Variable] = extra[DeclarationTag] = {4, 0};
  extra[Array] = {12, 0};
  extra[Struct] = extra[Union] = extra[DataSection] = extra[Enum64] = {0, 12};
  extra[Enum] = extra[FunctionPrototype] = {0, 8};
  return extra;
}();

std::size_t extra_bytes(std::uint8_t kind, std::size_t elements) {
  return kExtra[kind].fixed + kExtra[kind].element * elements;
}

} // namespace

/// One type; `extra` holds what stands behind it, checked to lie inside the section.
struct BtfTypeTable::Record {
  std::uint32_t name = 0;
  std::uint8_t kind = 0;
  bool flag = false;
  std::uint32_t size_or_type = 0;
  std::span<const std::uint8_t> extra;

  [[nodiscard]] std::uint32_t word(std::size_t number) const {
    std::uint32_t value = 0;
    std::memcpy(&value, extra.subspan(number * sizeof value, sizeof value).data(), sizeof value);
    return value;
  }
  [[nodiscard]] std::size_t words() const { return extra.size() / sizeof(std::uint32_t); }
};

/// What a member lookup has used up, and what it found.
struct BtfTypeTable::MemberSearch {
  std::uint32_t visits = kMaxVisits;
  int nesting = kMaxNesting;
  std::uint32_t type = 0;
  std::uint64_t bits = 0; ///< from the start of the outermost structure
  std::uint32_t bit_size = 0;
};

Result<std::unique_ptr<BtfTypeTable>> BtfTypeTable::parse(std::vector<std::uint8_t> section) {
  const auto length = btf_length(section);
  if (!length) {
    return tl::unexpected(length.error());
  }
  if (*length > section.size()) {
    return fault(FaultCode::OutOfRange, *length);
  }
  std::unique_ptr<BtfTypeTable> table(new BtfTypeTable);
  table->section_ = std::move(section);
  ByteCursor cursor{std::span(table->section_).subspan(4)};
  const std::size_t header = cursor.le32().value_or(0);
  const std::size_t types = header + cursor.le32().value_or(0);
  const std::size_t types_end = types + cursor.le32().value_or(0);
  table->strings_ = header + cursor.le32().value_or(0);
  table->strings_end_ = table->strings_ + cursor.le32().value_or(0);
  // The last string ends in a NUL, so that text() needs no end check of its own.
  if (table->section_[table->strings_end_ - 1] != 0) {
    return fault(FaultCode::Malformed, table->strings_end_ - 1);
  }
  if (const auto done = table->index_types(types, types_end); !done) {
    return tl::unexpected(done.error());
  }
  table->index_names();
  return table;
}

Result<void> BtfTypeTable::index_types(std::size_t begin, std::size_t end) {
  positions_.reserve((end - begin) / (2 * kRecordBytes)); // a fair guess
  positions_.push_back(0);
  for (std::size_t at = begin; at < end;) {
    if (positions_.size() > kMaxTypes) {
      return fault(FaultCode::LimitReached, at);
    }
    ByteCursor cursor{std::span(section_).subspan(at, end - at)};
    const auto name = cursor.le32();
    const auto info = cursor.le32();
    if (!name || !info || !cursor.skip(4)) {
      return fault(FaultCode::OutOfRange, at);
    }
    const auto kind = static_cast<std::uint8_t>(*info >> 24 & 0x1f);
    if (kind == Void || kind >= kExtra.size() || *name >= strings_end_ - strings_) {
      return fault(FaultCode::Malformed, at);
    }
    if (!cursor.skip(extra_bytes(kind, *info & 0xffff))) {
      return fault(FaultCode::OutOfRange, at);
    }
    positions_.push_back(static_cast<std::uint32_t>(at));
    at += cursor.position();
  }
  return {};
}

std::optional<BtfTypeTable::Record> BtfTypeTable::record(std::uint32_t id) const {
  if (id == 0 || id >= positions_.size()) {
    return std::nullopt;
  }
  const std::size_t at = positions_[id];
  std::uint32_t words[3];
  std::memcpy(words, &section_[at], sizeof words);
  const auto kind = static_cast<std::uint8_t>(words[1] >> 24 & 0x1f);
  const std::size_t extra = extra_bytes(kind, words[1] & 0xffff);
  return Record{words[0], kind, (words[1] >> 31) != 0, words[2],
                std::span(section_).subspan(at + kRecordBytes, extra)};
}

std::string_view BtfTypeTable::text(std::uint32_t offset) const {
  if (offset >= strings_end_ - strings_) {
    return {};
  }
  const auto *start = reinterpret_cast<const char *>(&section_[strings_ + offset]);
  return {start,
          strnlen(start, std::min<std::size_t>(kMaxNameBytes, strings_end_ - strings_ - offset))};
}

/// Without measuring the string first: names are compared by the hundred thousand.
bool BtfTypeTable::is_text(std::uint32_t offset, std::string_view name) const {
  const std::size_t length = strings_end_ - strings_;
  return offset < length && name.size() < length - offset &&
         std::memcmp(&section_[strings_ + offset], name.data(), name.size()) == 0 &&
         section_[strings_ + offset + name.size()] == 0;
}

void BtfTypeTable::index_names() {
  std::vector<std::uint32_t> named;
  for (std::uint32_t id = 1; id < positions_.size(); ++id) {
    const auto type = *record(id);
    if (type.name != 0 && (is_composite(type.kind) || type.kind == Typedef)) {
      named.push_back(id);
    }
  }
  // Structures before typedefs, each in table order: the first of a name wins.
  std::stable_partition(named.begin(), named.end(),
                        [this](std::uint32_t id) { return is_composite(record(id)->kind); });
  names_.assign(std::bit_ceil(named.size() * 2 + 1), 0);
  for (const std::uint32_t id : named) {
    const std::string_view name = text(record(id)->name);
    std::size_t slot = name_hash(name) & (names_.size() - 1);
    int probes = kMaxProbes;
    while (names_[slot] != 0 && !is_text(record(names_[slot])->name, name) && --probes > 0) {
      slot = (slot + 1) & (names_.size() - 1);
    }
    if (names_[slot] == 0) {
      names_[slot] = id;
    }
  }
}

/// The struct or union of this name; a typedef leads to the one behind it.
std::optional<std::uint32_t> BtfTypeTable::find_composite(std::string_view name) const {
  std::size_t slot = name_hash(name) & (names_.size() - 1);
  for (int probes = kMaxProbes; names_[slot] != 0 && probes > 0; --probes) {
    if (!is_text(record(names_[slot])->name, name)) {
      slot = (slot + 1) & (names_.size() - 1);
      continue;
    }
    const auto id = strip(names_[slot]);
    return id && is_composite(record(*id)->kind) ? id : std::nullopt;
  }
  return std::nullopt;
}

/// The type behind typedefs and qualifiers; nullopt for void, a bad id, or too long a chain.
std::optional<std::uint32_t> BtfTypeTable::strip(std::uint32_t id) const {
  for (int i = 0; i < kMaxChain; ++i) {
    const auto type = record(id);
    if (!type) {
      return std::nullopt;
    }
    if (!is_modifier(type->kind)) {
      return id;
    }
    id = type->size_or_type;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> BtfTypeTable::size_of_id(std::uint32_t id) const {
  std::uint64_t elements = 1;
  for (int i = 0; i < kMaxChain; ++i) {
    const auto stripped = strip(id);
    if (!stripped) {
      return std::nullopt;
    }
    const auto type = *record(*stripped);
    std::uint64_t size = 0;
    switch (type.kind) {
    case Array: // element type, index type, number of elements
      elements *= type.word(2);
      if (elements > kMaxTypeBytes) {
        return std::nullopt;
      }
      id = type.word(0);
      continue;
    case Pointer:
      size = sizeof(std::uint64_t);
      break;
    case Int:
    case Float:
    case Struct:
    case Union:
    case Enum:
    case Enum64:
      size = type.size_or_type;
      break;
    default:
      return std::nullopt;
    }
    size *= elements; // below 2^31 times below 2^32
    return size <= kMaxTypeBytes ? std::optional(size) : std::nullopt;
  }
  return std::nullopt;
}

bool BtfTypeTable::find_member(std::uint32_t id, std::string_view name, std::uint64_t base_bits,
                               MemberSearch &search) const {
  const auto stripped = strip(id);
  if (!stripped || search.nesting == 0) {
    return false;
  }
  const auto composite = *record(*stripped);
  if (!is_composite(composite.kind)) {
    return false;
  }
  for (std::size_t i = 0; i + 3 <= composite.words() && search.visits > 0; i += 3) {
    --search.visits;
    const std::uint32_t member_name = composite.word(i);
    const std::uint32_t type = composite.word(i + 1);
    const std::uint32_t place = composite.word(i + 2);
    // With the flag: 24 bits of offset, 8 of bit field size.
    const std::uint64_t bits = base_bits + (composite.flag ? place & 0xff'ffff : place);
    if (member_name == 0) {
      --search.nesting;
      const bool found = find_member(type, name, bits, search);
      ++search.nesting;
      if (found) {
        return true;
      }
    } else if (is_text(member_name, name)) {
      search.type = type;
      search.bits = bits;
      search.bit_size = composite.flag ? place >> 24 : 0;
      return true;
    }
  }
  return false;
}

Result<Member> BtfTypeTable::describe(const MemberSearch &found) const {
  const std::uint64_t offset = found.bits / 8;
  // A flexible array member has no size; neither has one of an incomplete type.
  const std::uint64_t size = size_of_id(found.type).value_or(0);
  if (offset > kMaxTypeBytes) {
    return fault(FaultCode::Malformed);
  }
  Member member{static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(size), 0, 0};
  if (found.bit_size == 0) {
    return member;
  }
  if (size == 0 || size > sizeof(std::uint64_t)) {
    return fault(FaultCode::Malformed);
  }
  // The storage unit is the aligned word of the declared type that holds the first bit.
  const std::uint64_t unit = offset / size * size;
  const std::uint64_t bit = found.bits - unit * 8;
  if (bit + found.bit_size > size * 8) {
    return fault(FaultCode::Malformed);
  }
  member.offset = static_cast<std::uint32_t>(unit);
  member.bit_offset = static_cast<std::uint8_t>(bit);
  member.bit_size = static_cast<std::uint8_t>(found.bit_size);
  return member;
}

Result<Member> BtfTypeTable::member(std::string_view type, std::string_view path) const {
  const auto composite = find_composite(type);
  if (!composite) {
    return fault(FaultCode::NotFound);
  }
  MemberSearch search;
  search.type = *composite;
  for (bool more = true; more;) {
    const std::size_t dot = path.find('.');
    more = dot != path.npos;
    if (!find_member(search.type, path.substr(0, dot), search.bits, search)) {
      return fault(search.visits == 0 ? FaultCode::LimitReached : FaultCode::NotFound);
    }
    path.remove_prefix(more ? dot + 1 : path.size());
  }
  return describe(search);
}

Result<std::uint32_t> BtfTypeTable::size_of(std::string_view type) const {
  const auto composite = find_composite(type);
  if (!composite) {
    return fault(FaultCode::NotFound);
  }
  return record(*composite)->size_or_type;
}

std::optional<std::int64_t> BtfTypeTable::enumerator(std::string_view name) const {
  for (std::uint32_t id = 1; id < positions_.size(); ++id) {
    const auto type = *record(id);
    const std::size_t words = type.kind == Enum ? 2 : type.kind == Enum64 ? 3 : 0;
    for (std::size_t i = 0; words != 0 && i + words <= type.words(); i += words) {
      if (!is_text(type.word(i), name)) {
        continue;
      }
      const std::uint32_t low = type.word(i + 1);
      if (words == 3) {
        return static_cast<std::int64_t>(low | std::uint64_t{type.word(i + 2)} << 32);
      }
      // The flag says signed; 5.10 does not set it, and its enumerators below 0 are few.
      return type.flag ? std::int64_t{static_cast<std::int32_t>(low)} : std::int64_t{low};
    }
  }
  return std::nullopt;
}

} // namespace outguard::guest
