#pragma once
// Where rootkits bend the kernel so that the guest's own /proc lies while memory is honest:
// function pointers that print the tables of sockets and list /proc, entries of the system call
// table, and the first instructions of the functions behind them. Each must lead into the kernel's
// own text. All is looked up once; a check reads some thirty words. Owns addresses only.

#include <cstdint>
#include <string>
#include <vector>

#include "guest/linux/kernel_reader.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class KernelIntegrity {
public:
  KernelIntegrity(const TypeTable &types, const SymbolTable &symbols);

  struct Findings {
    std::vector<std::string> broken; ///< "tcp4_seq_ops.show leads outside the kernel's text"
    std::uint32_t checked = 0;
    std::uint32_t unreadable = 0;
  };
  [[nodiscard]] Findings check(KernelReader &reader) const;
  /// False: this kernel does not say where its text lies.
  [[nodiscard]] bool can_check() const { return !text_.is_null(); }

private:
  struct Pointer {
    std::string name;
    GuestVirtual where;
  };
  [[nodiscard]] bool is_text(GuestVirtual address) const {
    return address >= text_ && address < text_end_;
  }
  void check_pointers(KernelReader &reader, Findings &findings) const;
  void check_entries(KernelReader &reader, Findings &findings) const;

  GuestVirtual text_, text_end_; ///< null: unknown, nothing is checked
  std::vector<Pointer> pointers_;
  std::vector<Pointer> entries_; ///< functions
};

} // namespace outguard::guest
