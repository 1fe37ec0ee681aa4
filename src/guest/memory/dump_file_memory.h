#pragma once
// Guest memory in a file. open() knows the format by the content: raw, ELF core, LiME, kdump
// compressed, and the last two of makedumpfile's also flattened. Every header field is hostile.
// Owns the file; a file that shrinks meanwhile is SourceGone.

#include <memory>
#include <vector>

#include "base/fd.h"
#include "guest/memory/cpu_registers.h"
#include "guest/memory/file_bytes.h"
#include "guest/memory/memory_reader.h"

namespace outguard::guest {

class DumpFileMemory : public MemoryReader {
public:
  [[nodiscard]] static Opened<std::unique_ptr<DumpFileMemory>> open(Fd file);

  [[nodiscard]] std::span<const PhysicalRange> ranges() const final { return ranges_; }
  /// From QEMU's notes; empty for formats that have none and for files that others wrote.
  [[nodiscard]] const std::vector<CpuRegisters> &registers() const { return registers_; }

protected:
  DumpFileMemory(std::unique_ptr<FileBytes> file, std::vector<CpuRegisters> registers)
      : file_(std::move(file)), registers_(std::move(registers)) {}
  [[nodiscard]] const FileBytes &file() const { return *file_; }
  /// In ascending order; joined with the one before where they touch.
  void add_range(std::uint64_t start, std::uint64_t length);
  [[nodiscard]] std::size_t range_count() const { return ranges_.size(); }

private:
  std::unique_ptr<FileBytes> file_;
  std::vector<PhysicalRange> ranges_;
  std::vector<CpuRegisters> registers_;
};

} // namespace outguard::guest
