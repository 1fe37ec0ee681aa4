#include "sensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace outguard::sensor {

Result<MappedFile> MappedFile::open(const Fd &file) {
  constexpr int kWanted = F_SEAL_SHRINK | F_SEAL_WRITE;
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) {
    return fail_errno("fstat");
  }
  if (facts.st_size <= 0 || (::fcntl(file.get(), F_GET_SEALS) & kWanted) != kWanted) {
    return fail(ErrorCode::InvalidInput, "the file is empty or could change while it is used");
  }
  const auto size = static_cast<std::size_t>(facts.st_size);
  void *mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) {
    return fail_errno("mmap");
  }
  return MappedFile({static_cast<std::uint8_t *>(mapped), size});
}

void MappedFile::release(std::span<const std::uint8_t> part) const {
  static const auto kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto from = static_cast<std::size_t>(part.data() - bytes_.data()) / kPage * kPage;
  const auto to = static_cast<std::size_t>(part.data() - bytes_.data()) + part.size();
  // Advice: where it is not taken, the memory stays.
  static_cast<void>(::madvise(bytes_.data() + from, to - from, MADV_DONTNEED));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

} // namespace outguard::sensor
