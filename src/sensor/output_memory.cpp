#include "sensor/output_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace outguard::sensor {

Result<OutputMemory> OutputMemory::open(const Fd &file) {
  constexpr int kWanted = F_SEAL_SHRINK | F_SEAL_GROW;
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) {
    return fail_errno("fstat");
  }
  if (facts.st_size <= 0 || (::fcntl(file.get(), F_GET_SEALS) & kWanted) != kWanted) {
    return fail(ErrorCode::InvalidInput, "the memory to write into has no fixed size");
  }
  const auto size = static_cast<std::size_t>(facts.st_size);
  void *mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) { // NOLINT(performance-no-int-to-ptr): the macro's cast
    return fail_errno("mmap");
  }
  return OutputMemory({static_cast<std::uint8_t *>(mapped), size});
}

OutputMemory::~OutputMemory() {
  if (!bytes_.empty()) {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

} // namespace outguard::sensor
