#pragma once
// A found Linux kernel: everything the walkers need to read it. Produced by find_kernel() (the way
// registers -> image -> kallsyms/BTF -> VMCOREINFO cross-check, with the RAM scan as fallback).

#include <memory>

#include "facts/kernel_seen.h"
#include "guest/memory/address_space.h"
#include "guest/symbols/symbol_table.h"
#include "guest/symbols/type_table.h"

namespace outguard::guest {

struct Kernel {
  AddressSpace space;                    ///< the kernel's own page tables (swapper_pg_dir)
  std::unique_ptr<SymbolTable> symbols;
  std::unique_ptr<TypeTable> types;
  KernelSeen seen;                       ///< what is told to people: release, banner, how found
};

/// What the vCPUs told; text of HMP `info registers -a`, unparsed: it carries guest-chosen values.
struct RegisterText {
  std::string_view text; ///< empty when there is none (file without notes)
};

/// A refused or failed search says in which named state the guest is (facts/kernel_seen.h).
struct KernelSearchFailure {
  GuestState state = GuestState::Unreadable;
  Fault fault;
};

[[nodiscard]] tl::expected<Kernel, KernelSearchFailure> find_kernel(MemoryReader &memory,
                                                                    RegisterText registers);

} // namespace outguard::guest
