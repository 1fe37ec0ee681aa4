#pragma once
// Guest memory in a file: raw (guest-physical address = offset) or an ELF core as QEMU's
// dump-guest-memory writes it, with and without -p. Every header field is hostile. Owns the
// descriptor and reads with pread: a file that shrinks meanwhile is SourceGone, never a signal.

#include <memory>
#include <vector>

#include "base/fd.h"
#include "guest/memory/cpu_registers.h"
#include "guest/memory/memory_reader.h"
#include "guest/memory/source_problem.h"

namespace outguard::guest {

class DumpFileMemory final : public MemoryReader {
public:
  [[nodiscard]] static Opened<std::unique_ptr<DumpFileMemory>> open(Fd file);

  [[nodiscard]] std::span<const PhysicalRange> ranges() const override { return ranges_; }
  /// From QEMU's notes; empty for a raw file and for cores that others wrote.
  [[nodiscard]] const std::vector<CpuRegisters> &registers() const { return registers_; }

private:
  struct Segment {
    std::uint64_t guest_start = 0;
    std::uint64_t length = 0;
    std::uint64_t file_offset = 0;
  };
  class ElfCore;

  explicit DumpFileMemory(Fd file) : file_(std::move(file)) {}
  [[nodiscard]] Opened<void> read_exactly(std::uint64_t offset, std::span<std::uint8_t> out) const;
  void adopt(std::vector<Segment> segments);
  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;

  Fd file_;
  std::uint64_t file_bytes_ = 0;
  std::vector<Segment> segments_; ///< sorted by guest_start, without overlap
  std::vector<PhysicalRange> ranges_;
  std::vector<CpuRegisters> registers_;
};

} // namespace outguard::guest
