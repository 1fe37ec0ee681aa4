#include "guest/symbols/isf_tables.h"

#include <algorithm>

#include "guest/symbols/kernel_image.h"

namespace outguard::guest {
namespace {

// dwarf2json's files of Debian kernels have 15,000 composites, 150,000 fields, 200,000 symbols.
constexpr std::size_t kMaxComposites = std::size_t{1} << 18;
constexpr std::size_t kMaxFields = std::size_t{1} << 21;
constexpr std::size_t kMaxNames = std::size_t{1} << 20; ///< symbols; enumerators; sizes
constexpr std::uint32_t kMaxVisits = 100'000;
constexpr int kMaxNesting = 16;
constexpr std::uint64_t kMaxTypeBytes = std::uint64_t{1} << 31;
constexpr std::uint64_t kPointerBytes = 8;

/// By name; of equal names the first added comes first.
template <class Record> void sort_by_name(std::vector<Record> &records) {
  std::stable_sort(records.begin(), records.end(),
                   [](const Record &a, const Record &b) { return a.name < b.name; });
  records.shrink_to_fit();
}

template <class Record>
const Record *find_by_name(const std::vector<Record> &records, std::uint64_t name) {
  const auto at =
      std::lower_bound(records.begin(), records.end(), name,
                       [](const Record &record, std::uint64_t key) { return record.name < key; });
  return at == records.end() || at->name != name ? nullptr : &*at;
}

} // namespace

struct IsfTypeTable::Search {
  std::uint32_t visits = kMaxVisits;
  int nesting = kMaxNesting;
  std::uint64_t offset = 0; ///< from the start of the outermost structure
};

void IsfTypeTable::add_size(Kind kind, std::string_view name, std::uint32_t bytes) {
  (kind == Kind::Base ? bases_ : enums_).push_back({name_hash(name), bytes});
}

void IsfTypeTable::add_composite(std::string_view name, std::uint32_t bytes) {
  const auto end = static_cast<std::uint32_t>(fields_.size());
  composites_.push_back({name_hash(name), bytes, fields_taken_, end - fields_taken_});
  fields_taken_ = end;
}

void IsfTypeTable::add_enumerator(std::string_view name, std::int64_t value) {
  enumerators_.push_back({name_hash(name), value});
}

Result<void> IsfTypeTable::check_limits() const {
  const bool fits = composites_.size() <= kMaxComposites && fields_.size() <= kMaxFields &&
                    bases_.size() <= kMaxNames && enums_.size() <= kMaxNames &&
                    enumerators_.size() <= kMaxNames;
  return fits ? Result<void>{} : fault(FaultCode::LimitReached);
}

void IsfTypeTable::seal() {
  sort_by_name(composites_);
  sort_by_name(bases_);
  sort_by_name(enums_);
  sort_by_name(enumerators_);
  fields_.shrink_to_fit();
  bit_order_ = find_bit_order();
}

const IsfTypeTable::Composite *IsfTypeTable::find_composite(std::uint64_t name) const {
  return find_by_name(composites_, name);
}

std::span<const IsfTypeTable::Field> IsfTypeTable::fields_of(const Composite &composite) const {
  return std::span(fields_).subspan(composite.first_field, composite.fields);
}

const IsfTypeTable::Field *IsfTypeTable::find_field(std::uint64_t composite, std::uint64_t name,
                                                    Search &search) const {
  const Composite *type = find_composite(composite);
  if (type == nullptr || search.nesting == 0) {
    return nullptr;
  }
  for (const Field &field : fields_of(*type)) {
    if (search.visits == 0) {
      return nullptr;
    }
    --search.visits;
    const Field *found = nullptr;
    if (!field.unnamed) {
      found = field.name == name ? &field : nullptr;
    } else if (field.type.kind == Kind::Composite) {
      --search.nesting;
      found = find_field(field.type.name, name, search);
      ++search.nesting;
    }
    if (found != nullptr) {
      search.offset += field.offset;
      return found;
    }
  }
  return nullptr;
}

/// 0: not known, as of a flexible array.
std::uint64_t IsfTypeTable::size_of_type(const IsfType &type) const {
  std::uint64_t size = 0;
  if (type.kind == Kind::Pointer) {
    size = kPointerBytes;
  } else if (type.kind == Kind::Composite) {
    const Composite *composite = find_composite(type.name);
    size = composite == nullptr ? 0 : composite->bytes;
  } else if (type.kind != Kind::Unknown) {
    const Sized *sized = find_by_name(type.kind == Kind::Base ? bases_ : enums_, type.name);
    size = sized == nullptr ? 0 : sized->bytes;
  }
  size *= type.elements;
  return size <= kMaxTypeBytes ? size : 0;
}

Result<Member> IsfTypeTable::describe(const Field &field, std::uint64_t offset) const {
  const std::uint64_t size = size_of_type(field.type);
  if (offset > kMaxTypeBytes) {
    return fault(FaultCode::Malformed);
  }
  Member member{static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(size), 0, 0};
  if (!field.type.is_bit_field) {
    return member;
  }
  if (bit_order_ == BitOrder::Unknown) {
    return fault(FaultCode::NotFound);
  }
  const std::uint64_t bits = size * 8;
  const std::uint64_t end = std::uint64_t{field.type.bit_position} + field.type.bit_length;
  if (size > sizeof(std::uint64_t) || field.type.bit_length == 0 || end > bits) {
    return fault(FaultCode::Malformed);
  }
  member.bit_size = field.type.bit_length;
  member.bit_offset = bit_order_ == BitOrder::FromLow ? field.type.bit_position
                                                      : static_cast<std::uint8_t>(bits - end);
  return member;
}

/// DWARF up to version 4 counts from the high end of the storage unit, and what writes ISF files
/// passes that on or does not, or loses the position: then all stand at 0. Two neighbours that
/// every kernel has in one byte, the four bits of skc_reuse lowest, tell which.
IsfTypeTable::BitOrder IsfTypeTable::find_bit_order() const {
  const auto position = [this](std::string_view name) {
    Search search;
    const Field *field = find_field(name_hash("sock_common"), name_hash(name), search);
    return field != nullptr && field->type.is_bit_field ? int{field->type.bit_position} : -1;
  };
  const int four_bits = position("skc_reuse");
  const int next_bit = position("skc_reuseport");
  if (four_bits == 0 && next_bit == 4) {
    return BitOrder::FromLow;
  }
  return four_bits == 4 && next_bit == 3 ? BitOrder::FromHigh : BitOrder::Unknown;
}

Result<Member> IsfTypeTable::member(std::string_view type, std::string_view path) const {
  Search search;
  std::uint64_t composite = name_hash(type);
  while (true) {
    const std::size_t dot = path.find('.');
    const Field *field = find_field(composite, name_hash(path.substr(0, dot)), search);
    if (field == nullptr) {
      return fault(search.visits == 0 ? FaultCode::LimitReached : FaultCode::NotFound);
    }
    if (dot == path.npos) {
      return describe(*field, search.offset);
    }
    if (field->type.kind != Kind::Composite) {
      return fault(FaultCode::NotFound);
    }
    composite = field->type.name;
    path.remove_prefix(dot + 1);
  }
}

Result<std::uint32_t> IsfTypeTable::size_of(std::string_view type) const {
  const Composite *composite = find_composite(name_hash(type));
  return composite == nullptr ? fault(FaultCode::NotFound)
                              : Result<std::uint32_t>(composite->bytes);
}

std::optional<std::int64_t> IsfTypeTable::enumerator(std::string_view name) const {
  const Enumerator *found = find_by_name(enumerators_, name_hash(name));
  return found == nullptr ? std::nullopt : std::optional(found->value);
}

void IsfSymbolTable::add(std::string_view name, std::uint64_t address) {
  if (address != 0) {
    symbols_.push_back({name_hash(name), address});
  }
}

Result<void> IsfSymbolTable::check_limits() const {
  return symbols_.size() <= kMaxNames ? Result<void>{} : fault(FaultCode::LimitReached);
}

void IsfSymbolTable::seal() {
  sort_by_name(symbols_);
}

std::optional<GuestVirtual> IsfSymbolTable::find(std::string_view name) const {
  const Symbol *symbol = find_by_name(symbols_, name_hash(name));
  if (symbol == nullptr) {
    return std::nullopt;
  }
  // Per-CPU symbols count from 0 (up to 6.14) and do not move.
  const bool moves = symbol->address >= kImageWindow.raw();
  return GuestVirtual(symbol->address + (moves ? kaslr_offset_ : 0));
}

} // namespace outguard::guest
