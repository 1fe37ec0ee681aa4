#pragma once
// Digests of one file out of the guest's page cache, a slice at a time so that whoever else must
// run does. The file is looked at again at the end: when it was written meanwhile, or somebody is
// writing to it before or after, all is read once more. Borrows the PageCacheReader. One thread.

#include <cstdint>
#include <optional>
#include <vector>

#include "facts/process_detail.h"
#include "guest/linux/file_digests.h"
#include "guest/linux/page_cache_reader.h"

namespace outguard::guest {

class FileHasher {
public:
  /// A file of more than `most_bytes` is told as TooLarge and not read.
  FileHasher(const PageCacheReader &pages, const CachedFile &file, std::uint64_t most_bytes);

  /// Reads and hashes at most PageCacheReader::kMostPages pages. False: the result is there.
  [[nodiscard]] bool step(KernelReader &reader);
  [[nodiscard]] const FileHash &result() const { return result_; }
  [[nodiscard]] const CachedFile &file() const { return file_; }

private:
  void start();
  void finish(KernelReader &reader);
  void end(FileHash::Status status);

  const PageCacheReader *pages_;
  CachedFile file_;
  std::uint64_t most_bytes_;
  FileHash result_;
  std::optional<FileDigests> digests_; ///< none: a page was missing, so there will be no hash
  std::vector<std::uint8_t> slice_;
  std::uint64_t at_ = 0; ///< bytes done
  int attempts_ = 0;
  bool done_ = false;
};

} // namespace outguard::guest
