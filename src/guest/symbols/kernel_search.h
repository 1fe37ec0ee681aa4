#pragma once
// One attempt to find a kernel: everything that hangs on one page-table root. Image, symbols,
// banner, the kernel's own page tables, VMCOREINFO and types, each checked against the others.
// Without a file that is all out of the running kernel; a file given is used for what it says, once
// its banner proved to be the running kernel's.

#include <optional>
#include <string>

#include "guest/symbols/kernel.h"
#include "guest/symbols/kernel_image.h"
#include "guest/symbols/page_table_roots.h"
#include "guest/symbols/vmcoreinfo.h"

namespace outguard::guest {

/// nullopt: the note does not tell.
[[nodiscard]] std::optional<PageTableRoot> root_of(const Vmcoreinfo &claim);

/// `what`: names the check that failed, in our own words.
[[nodiscard]] tl::unexpected<KernelSearchFailure> search_failure(GuestState state, Fault reason,
                                                                 std::string what = {});

class KernelSearch {
public:
  /// `file` may be null; what is used of it is taken only when the search succeeds.
  KernelSearch(MemoryReader &memory, PageTableRoot root, IsfFile *file)
      : root_(root), space_(memory, root.table, root.levels), file_(file) {}

  enum class Way : std::uint8_t {
    Registers, ///< a CPU uses the root
    Note,      ///< a note in RAM claims it: the kernel must itself point at a note that does
  };
  [[nodiscard]] tl::expected<Kernel, KernelSearchFailure> run(Way way);

private:
  using Outcome = tl::expected<void, KernelSearchFailure>;

  [[nodiscard]] Outcome find_symbols();
  [[nodiscard]] Result<void> find_kallsyms();
  [[nodiscard]] Outcome use_file();
  [[nodiscard]] Outcome check_file_against_kallsyms() const;
  [[nodiscard]] KernelSearchFailure want_file(std::string what) const;
  [[nodiscard]] Outcome identify();
  [[nodiscard]] tl::expected<AddressSpace, KernelSearchFailure> own_space();
  [[nodiscard]] Outcome check_vmcoreinfo() const;
  [[nodiscard]] bool vouches_for_root() const;
  [[nodiscard]] Outcome find_types();
  [[nodiscard]] std::string banner_in_image() const;

  [[nodiscard]] Result<GuestVirtual> symbol(std::string_view name) const;

  PageTableRoot root_;
  AddressSpace space_; ///< of the root given: some process's, or the kernel's own
  IsfFile *file_;
  std::vector<ImageRun> image_;
  std::unique_ptr<SymbolTable> kallsyms_; ///< null: this kernel has none
  const SymbolTable *symbols_ = nullptr;  ///< those of the file, or kallsyms_
  std::unique_ptr<TypeTable> btf_;        ///< null where the file's types are used
  GuestPhysical text_physical_;
  GuestVirtual swapper_;
  KernelSeen seen_;
};

} // namespace outguard::guest
