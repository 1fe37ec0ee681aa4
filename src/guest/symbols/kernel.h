#pragma once
// A found Linux kernel: everything the walkers need to read it. Produced by find_kernel() (the way
// registers -> image -> kallsyms/BTF -> VMCOREINFO cross-check, with the RAM scan as fallback).

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "facts/kernel_seen.h"
#include "guest/memory/address_space.h"
#include "guest/memory/cpu_registers.h"
#include "guest/symbols/isf_tables.h"
#include "guest/symbols/symbol_table.h"
#include "guest/symbols/type_table.h"
#include "guest/symbols/vmcoreinfo.h"

namespace outguard::guest {

struct Kernel {
  AddressSpace space; ///< the kernel's own page tables (swapper_pg_dir)
  std::unique_ptr<SymbolTable> symbols;
  std::unique_ptr<TypeTable> types;
  KernelSeen seen; ///< what is told to people: release, banner, how found
};

/// A refused or failed search says in which named state the guest is (facts/kernel_seen.h).
struct KernelSearchFailure {
  GuestState state = GuestState::Unreadable;
  Fault fault;
  std::string what;        ///< the check that failed, in our own words; may be empty
  bool wants_file = false; ///< an ISF file of this kernel would help
  GuestText release;       ///< as the image seems to say, for that
};

/// What a caller may add to a search.
struct SearchHelp {
  IsfFile *file = nullptr; ///< emptied when the search succeeds: its tables are then the kernel's
  ScanProgress progress;   ///< of a RAM scan; may be empty
  /// Lets time pass; empty for memory that stands still. A kexec leaves the kernel before it whole
  /// in RAM: of several that a scan finds the one is taken whose clock moves. With a file the
  /// first: its tables are used up.
  std::function<void(std::chrono::milliseconds)> wait;
};

/// Where the kernel counts its timer ticks.
[[nodiscard]] std::optional<GuestVirtual> jiffies_of(const SymbolTable &symbols);

/// `registers`: of all vCPUs (parse_registers(), DumpFileMemory::registers()); may be empty, then
/// RAM is scanned. With a file, its types and symbols are used, once its banner and the text
/// symbols agree with what runs; a file that does not fit is a failure. The tables may be dropped
/// (reset) once everything needed was looked up: they are a few MiB. A failed search may be
/// repeated at any time.
[[nodiscard]] tl::expected<Kernel, KernelSearchFailure>
find_kernel(MemoryReader &memory, std::span<const CpuRegisters> registers,
            const SearchHelp &help = {});

} // namespace outguard::guest
