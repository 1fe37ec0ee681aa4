#include "guest/linux/kernel_integrity.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

namespace outguard::guest {
namespace {

struct Slot {
  const char *symbol;
  const char *type;
  const char *member;
};
constexpr std::array kSlots = {
    Slot{"tcp4_seq_ops", "seq_operations", "show"},
    Slot{"tcp4_seq_ops", "seq_operations", "next"},
    Slot{"tcp6_seq_ops", "seq_operations", "show"},
    Slot{"tcp6_seq_ops", "seq_operations", "next"},
    Slot{"udp_seq_ops", "seq_operations", "show"},
    Slot{"udp_seq_ops", "seq_operations", "next"},
    Slot{"udp6_seq_ops", "seq_operations", "show"},
    Slot{"udp6_seq_ops", "seq_operations", "next"},
    Slot{"raw_seq_ops", "seq_operations", "show"},
    Slot{"raw6_seq_ops", "seq_operations", "show"},
    Slot{"unix_seq_ops", "seq_operations", "show"},
    Slot{"packet_seq_ops", "seq_operations", "show"},
    Slot{"proc_root_operations", "file_operations", "iterate_shared"},
    Slot{"proc_root_operations", "file_operations", "read"},
    Slot{"proc_root_inode_operations", "inode_operations", "lookup"},
    Slot{"proc_dir_operations", "file_operations", "iterate_shared"},
    Slot{"proc_tgid_base_operations", "file_operations", "iterate_shared"},
    Slot{"proc_tgid_base_inode_operations", "inode_operations", "lookup"},
    Slot{"proc_fd_operations", "file_operations", "iterate_shared"},
};

/// arch/x86/entry/syscalls/syscall_64.tbl: the user's ABI, so it stays.
struct Call {
  const char *name;
  std::uint32_t number;
};
constexpr std::array kCalls = {Call{"read", 0},      Call{"recvmsg", 47}, Call{"kill", 62},
                               Call{"getdents", 78}, Call{"openat", 257}, Call{"getdents64", 217}};

constexpr std::array kEntries = {"tcp4_seq_show",     "tcp6_seq_show",        "udp4_seq_show",
                                 "udp6_seq_show",     "proc_pid_readdir",     "proc_root_readdir",
                                 "filldir64",         "__x64_sys_getdents64", "__x64_sys_kill",
                                 "inet_sk_diag_fill", "find_ge_pid",          "proc_pid_lookup"};

// The first bytes of a function: an optional endbr64 (or the nop that replaced it), then room for a
// tracer, a nop of five bytes; a jump or call there leads to who patched it.
constexpr std::size_t kEntryBytes = 16;
constexpr std::size_t kMarkBytes = 4, kBranchBytes = 5;
constexpr std::array<std::uint32_t, 3> kMarks = {0xfa1e'0ff3, 0x001f'0f66, 0xd640'1f0f};
constexpr std::uint8_t kCallOpcode = 0xe8, kJumpOpcode = 0xe9, kBreakpoint = 0xcc;
constexpr std::array<std::uint8_t, 2> kIndirectJump = {0xff, 0x25};
constexpr std::array<std::uint8_t, 2> kMoveToRax = {0x48, 0xb8}; // movabs, then jmp or push/ret

struct Patch {
  bool is_breakpoint = false;
  std::optional<GuestVirtual> target; ///< nullopt: in a register or in memory
};

std::optional<Patch> patch_at(std::span<const std::uint8_t> code, GuestVirtual address) {
  if (code[0] == kBreakpoint) {
    return Patch{true, {}};
  }
  if (code[0] == kCallOpcode || code[0] == kJumpOpcode) {
    std::int32_t distance = 0;
    std::memcpy(&distance, code.data() + 1, sizeof distance);
    const auto wide = static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
    return Patch{false, address.plus_wrapping(kBranchBytes + wide)};
  }
  const auto starts_with = [&](const auto &bytes) {
    return std::memcmp(code.data(), bytes.data(), bytes.size()) == 0;
  };
  if (starts_with(kIndirectJump) || starts_with(kMoveToRax)) {
    return Patch{};
  }
  return std::nullopt;
}

} // namespace

KernelIntegrity::KernelIntegrity(const TypeTable &types, const SymbolTable &symbols) {
  const auto start = symbols.find("_stext"), end = symbols.find("_etext");
  if (!start || !end || *start >= *end) {
    return;
  }
  text_ = *start;
  text_end_ = *end;
  for (const Slot &slot : kSlots) {
    const auto object = symbols.find(slot.symbol);
    const auto member = types.member(slot.type, slot.member);
    if (object && member && member->size == 8) {
      pointers_.push_back(
          {std::string(slot.symbol) + "." + slot.member, object->plus_wrapping(member->offset)});
    }
  }
  if (const auto table = symbols.find("sys_call_table")) {
    for (const Call &call : kCalls) {
      pointers_.push_back({std::string("sys_call_table[") + call.name + "]",
                           table->plus_wrapping(std::uint64_t{call.number} * 8)});
    }
  }
  for (const char *name : kEntries) {
    if (const auto entry = symbols.find(name)) {
      entries_.push_back({name, *entry});
    }
  }
}

void KernelIntegrity::check_pointers(KernelReader &reader, Findings &findings) const {
  for (const Pointer &pointer : pointers_) {
    const auto target = reader.pointer(pointer.where);
    if (!target) {
      ++findings.unreadable;
      continue;
    }
    ++findings.checked;
    if (!target->is_null() && !is_text(*target)) {
      findings.broken.push_back(pointer.name + " leads outside the kernel's text");
    }
  }
}

void KernelIntegrity::check_entries(KernelReader &reader, Findings &findings) const {
  for (const Pointer &entry : entries_) {
    std::array<std::uint8_t, kEntryBytes> code{};
    if (!reader.read(entry.where, code)) {
      ++findings.unreadable;
      continue;
    }
    ++findings.checked;
    std::uint32_t mark = 0;
    std::memcpy(&mark, code.data(), sizeof mark);
    const std::size_t offset = std::ranges::find(kMarks, mark) != kMarks.end() ? kMarkBytes : 0;
    if (const auto patch =
            patch_at(std::span(code).subspan(offset), entry.where.plus_wrapping(offset))) {
      if (patch->is_breakpoint) {
        findings.broken.push_back(entry.name + " begins with a breakpoint (a kprobe, or a hook)");
      } else if (!patch->target) {
        findings.broken.push_back(entry.name + " begins with an indirect jump");
      } else if (!is_text(*patch->target)) {
        findings.broken.push_back(entry.name + " is patched to lead outside the kernel's text");
      }
    }
  }
}

KernelIntegrity::Findings KernelIntegrity::check(KernelReader &reader) const {
  Findings findings;
  check_pointers(reader, findings);
  check_entries(reader, findings);
  return findings;
}

} // namespace outguard::guest
