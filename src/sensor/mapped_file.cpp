#include "sensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

} // namespace outguard::sensor
