#pragma once
// The RAM of a running QEMU. Regions that QEMU keeps in a shareable file (memfd, hugetlbfs) are
// mapped once and read without a system call; the others are read through /proc/PID/mem. Owns the
// descriptors, which a privileged process has opened read-only. One thread at a time.
//
// A mapped file that shrinks would raise SIGBUS. QEMU seals its memfds against that (seal=on, its
// default), the guest cannot reach the file, and the size is checked here; whoever truncates an
// unsealed backing file ends this VM's sensor and no other.

#include <memory>
#include <vector>

#include "base/fd.h"
#include "facts/memory_layout.h"
#include "guest/memory/memory_reader.h"
#include "guest/memory/source_problem.h"

namespace outguard::guest {

class QemuMemory final : public MemoryReader {
public:
  /// `process_memory`: of /proc/PID/mem, may be empty when every region has a file. `files`: what
  /// the regions' file_index counts. Refuses a layout that is not sorted, overlaps, wraps or is too
  /// long.
  [[nodiscard]] static Opened<std::unique_ptr<QemuMemory>>
  open(const MemoryLayout &layout, Fd process_memory, std::vector<Fd> files);
  ~QemuMemory() override;

  [[nodiscard]] std::span<const PhysicalRange> ranges() const override { return ranges_; }
  /// Where most of the RAM is not mapped.
  [[nodiscard]] bool is_costly() const override { return through_process_ > mapped_; }

private:
  struct Region {
    MemoryRegion where;
    const std::uint8_t *mapped = nullptr; ///< null: through the process
  };

  QemuMemory(Fd process_memory, std::vector<Fd> files)
      : process_memory_(std::move(process_memory)), files_(std::move(files)) {}
  [[nodiscard]] Opened<void> add(const MemoryRegion &region);
  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;

  Fd process_memory_;
  std::vector<Fd> files_;
  std::vector<Region> regions_;
  std::vector<PhysicalRange> ranges_;
  std::uint64_t mapped_ = 0, through_process_ = 0; ///< bytes of RAM
  std::size_t last_region_ = 0; ///< nearly every read is of the same one as the read before
};

} // namespace outguard::guest
