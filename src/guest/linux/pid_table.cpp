#include "guest/linux/pid_table.h"

#include <set>

#include "guest/linux/xarray_entry.h"

namespace outguard::guest {
namespace {

// enum pid_type (include/linux/pid.h), since 4.19.
constexpr std::uint32_t kThreadId = 0, kGroupId = 1, kPidTypes = 4;
constexpr std::uint32_t kLinkBytes = 16; // hlist_node
constexpr std::uint32_t kMostUpidBytes = 64;
constexpr std::uint64_t kDeepestNamespace = 32; // MAX_PID_NS_LEVEL
constexpr std::size_t kMostNamespaces = 4096;
constexpr std::uint32_t kEntriesBytes = kXArraySlots * 8;
constexpr std::uint64_t kMostShift = 30; ///< of a tree that is indexed by an int

} // namespace

std::optional<PidTable> PidTable::bind(const TypeTable &types, const SymbolTable &symbols,
                                       std::string &missing) {
  PidTable table;
  const auto root = symbols.find("init_pid_ns");
  if (!root) {
    missing = "init_pid_ns";
    return std::nullopt;
  }
  table.root_space_ = *root;
  StructBinder space(types, "pid_namespace", missing);
  table.tree_ = space.pointer("idr.idr_rt.xa_head").offset;
  StructBinder node(types, "xa_node", missing);
  table.shift_ = node.number("shift");
  table.entries_ = node.bytes("slots", kEntriesBytes);
  table.node_ = node.extent();
  StructBinder pid(types, "pid", missing);
  table.level_ = pid.number("level");
  table.tasks_ = pid.bytes("tasks", kPidTypes * 8);
  table.pid_ = pid.extent();
  table.numbers_ = pid.place("numbers").offset;
  StructBinder upid(types, "upid", missing);
  table.upid_number_ = upid.number("nr");
  table.upid_space_ = upid.pointer("ns");
  table.upid_size_ = types.size_of("upid").value_or(0);
  if (table.upid_size_ < upid.extent().end || table.upid_size_ > kMostUpidBytes) {
    missing = "upid";
  }
  StructBinder task(types, "task_struct", missing);
  table.pid_links_ = task.bytes("pid_links", kPidTypes * kLinkBytes).offset;
  return missing.empty() ? std::optional(table) : std::nullopt;
}

GuestVirtual PidTable::task_at(GuestVirtual link, std::uint32_t type) const {
  return link.is_null() ? link : link.minus_wrapping(pid_links_ + type * kLinkBytes);
}

Result<PidSeen> PidTable::read(GuestVirtual number, KernelReader &reader) const {
  ObjectCopy copy(pid_);
  if (const auto loaded = copy.load(reader, number); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const std::uint64_t level = copy.number(level_);
  if (level > kDeepestNamespace) {
    return fault(FaultCode::Malformed, number.raw());
  }
  const auto first = [&](std::uint32_t type) {
    return task_at(copy.pointer({tasks_.offset + type * 8, 8, 0, 0}), type);
  };
  return PidSeen{first(kThreadId), first(kGroupId), static_cast<std::uint32_t>(level) + 1, 0};
}

Result<std::vector<PidTable::Number>>
PidTable::numbers_of(GuestVirtual number, std::uint32_t levels, KernelReader &reader) const {
  ObjectCopy copy(Extent{numbers_, numbers_ + levels * upid_size_});
  if (const auto loaded = copy.load(reader, number); !loaded) {
    return tl::unexpected(loaded.error());
  }
  std::vector<Number> numbers;
  for (std::uint32_t level = 0; level < levels; ++level) {
    const auto inside = [&](Member member) {
      member.offset += numbers_ + level * upid_size_;
      return member;
    };
    numbers.push_back({copy.pointer(inside(upid_space_)), copy.number(inside(upid_number_))});
  }
  return numbers;
}

Result<void> PidTable::open_node(const Place &place, std::vector<Slot> &slots,
                                 std::vector<Place> &below, KernelReader &reader) const {
  ObjectCopy node(node_);
  if (const auto loaded = node.load(reader, place.node); !loaded) {
    return loaded;
  }
  const std::uint64_t shift = node.number(shift_);
  if (shift % kXArraySlotBits != 0 || shift > kMostShift ||
      (place.shift && shift != *place.shift)) {
    return fault(FaultCode::Malformed, place.node.raw());
  }
  const auto entries = node.bytes(entries_);
  for (std::uint64_t slot = 0; slot < kXArraySlots; ++slot) {
    const std::uint64_t entry = entry_in(entries, slot);
    const std::uint64_t base = place.base + (slot << shift);
    if (is_node(entry) && shift != 0) {
      below.push_back({node_of(entry), base, shift - kXArraySlotBits});
    } else if ((entry & kXArrayKind) == 0 && entry != 0 && shift == 0) {
      slots.push_back({base, GuestVirtual(entry)});
    } // else empty, or a mark of the moment
  }
  return {};
}

/// Each level is one slot's width narrower than the one above, so this ends.
std::vector<PidTable::Slot> PidTable::slots_of(GuestVirtual space, KernelReader &reader,
                                               Completeness &completeness) const {
  std::vector<Slot> slots;
  const auto head = reader.pointer(space.plus_wrapping(tree_));
  if (!head) {
    completeness.lost(head.error());
    return slots;
  }
  std::vector<Place> open;
  if (is_node(head->raw())) {
    open.push_back({node_of(head->raw()), 0, std::nullopt});
  } else if (!head->is_null() && (head->raw() & kXArrayKind) == 0) {
    slots.push_back({0, *head});
  }
  while (!open.empty()) {
    const Place place = open.back();
    open.pop_back();
    if (const auto opened = open_node(place, slots, open, reader); !opened) {
      completeness.lost(opened.error().code == FaultCode::Malformed ? PartialReason::ListBroken
                                                                    : PartialReason::Unreadable,
                        opened.error());
      if (reader.budget().exhausted()) {
        return slots;
      }
    }
  }
  return slots;
}

std::vector<GuestVirtual> PidTable::slots(KernelReader &reader, Completeness &completeness) const {
  std::vector<GuestVirtual> numbers;
  for (const Slot &slot : slots_of(root_space_, reader, completeness)) {
    numbers.push_back(slot.number);
  }
  return numbers;
}

PidTable::Pids PidTable::walk(KernelReader &reader, Completeness &completeness) const {
  Pids pids;
  std::vector<GuestVirtual> spaces{root_space_};
  std::set<GuestVirtual> known{root_space_};
  for (std::size_t next = 0; next < spaces.size(); ++next) {
    const GuestVirtual space = spaces[next];
    for (const Slot &slot : slots_of(space, reader, completeness)) {
      const auto [entry, is_new] = pids.try_emplace(slot.number);
      if (is_new) {
        const auto seen = read(slot.number, reader);
        if (!seen) {
          pids.erase(entry);
          completeness.lost(seen.error());
          continue;
        }
        entry->second = *seen;
      }
      if (entry->second.levels == 1 && space == root_space_) {
        entry->second.listed_in = 1; // as nearly all are: no need to look
        continue;
      }
      const auto numbers = numbers_of(slot.number, entry->second.levels, reader);
      if (!numbers) {
        completeness.lost(numbers.error());
        continue;
      }
      for (const Number &each : *numbers) {
        entry->second.listed_in += each.space == space && each.value == slot.index ? 1U : 0U;
        if (known.size() < kMostNamespaces && known.insert(each.space).second) {
          spaces.push_back(each.space);
        }
      }
    }
  }
  return pids;
}

} // namespace outguard::guest
