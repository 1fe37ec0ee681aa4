#include "guest/linux/css_sets.h"

namespace outguard::guest {
namespace {

/// CSS_SET_HASH_BITS, 7 since the table exists. Were it more, sets that only hidden tasks use could
/// be missed; those that a known task uses are found through it.
constexpr std::uint64_t kBuckets = 1U << 7;
constexpr std::uint64_t kWordBytes = 8;

} // namespace

std::optional<CssSets> CssSets::bind(const TypeTable &types, const SymbolTable &symbols,
                                     std::string &missing) {
  CssSets sets;
  const auto table = symbols.find("css_set_table");
  if (!table) {
    missing = "css_set_table";
    return std::nullopt;
  }
  sets.table_ = *table;
  StructBinder set(types, "css_set", missing);
  sets.node_ = set.bytes("hlist", kListLinkBytes);
  sets.heads_ = {set.bytes("tasks", kListLinkBytes), set.bytes("mg_tasks", kListLinkBytes)};
  if (const auto dying = set.optional_member("dying_tasks", kListLinkBytes)) { // since 5.2
    sets.heads_.push_back(*dying);
  }
  sets.set_ = set.extent();
  return missing.empty() ? std::optional(sets) : std::nullopt;
}

std::vector<GuestVirtual> CssSets::walk(KernelReader &reader, Completeness &completeness) const {
  std::vector<GuestVirtual> found;
  for (std::uint64_t bucket = 0; bucket < kBuckets; ++bucket) {
    const GuestVirtual head = table_.plus_wrapping(bucket * kWordBytes);
    const auto first = reader.pointer(head);
    if (!first) {
      completeness.lost(first.error());
      return found;
    }
    if (first->is_null()) {
      continue;
    }
    ListWalk walk(reader, head, *first, GuestVirtual{});
    ObjectCopy set(Extent{node_.offset, node_.offset + node_.size});
    while (walk.next(set, node_, completeness)) {
      found.push_back(set.address());
    }
  }
  return found;
}

Result<std::vector<CssSets::TaskHead>> CssSets::heads_of(GuestVirtual set,
                                                         KernelReader &reader) const {
  ObjectCopy copy(set_);
  if (const auto loaded = copy.load(reader, set); !loaded) {
    return tl::unexpected(loaded.error());
  }
  std::vector<TaskHead> heads;
  for (const Member &member : heads_) {
    const GuestVirtual head = set.plus_wrapping(member.offset);
    const GuestVirtual first = links_of(copy, member).next;
    if (first != head) {
      heads.push_back({head, first});
    }
  }
  return heads;
}

} // namespace outguard::guest
