#pragma once
// Digests of one file out of the guest's page cache, a slice at a time so that whoever else must
// run does. The file is looked at again at the end: when it was written meanwhile, or somebody is
// writing to it before or after, all is read once more. Borrows the PageCacheReader. One thread.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "facts/evidence.h"
#include "facts/process_detail.h"
#include "guest/linux/file_digests.h"
#include "guest/linux/page_cache_reader.h"

namespace outguard::guest {

class FileHasher {
public:
  /// A file of more than `most_bytes` is told as TooLarge and not read.
  /// `copy`: takes the bytes too, zeros where a page is missing; empty, or `most_bytes` large.
  FileHasher(const PageCacheReader &pages, const CachedFile &file, std::uint64_t most_bytes,
             std::span<std::uint8_t> copy = {});

  /// Reads and hashes at most PageCacheReader::kMostPages pages. False: the result is there.
  [[nodiscard]] bool step(KernelReader &reader);
  [[nodiscard]] const FileHash &result() const { return result_; }
  [[nodiscard]] const CachedFile &file() const { return file_; }
  /// Pages that were not resident, as ranges of bytes; no more than kMostMissing of them.
  static constexpr std::size_t kMostMissing = 4096;
  [[nodiscard]] const std::vector<MissingRange> &missing() const { return missing_; }

private:
  void start();
  void finish(KernelReader &reader);
  void end(FileHash::Status status);
  void note_missing(std::uint64_t offset, std::uint64_t bytes);

  const PageCacheReader *pages_;
  CachedFile file_;
  std::uint64_t most_bytes_;
  FileHash result_;
  std::optional<FileDigests> digests_; ///< none: a page was missing, so there will be no hash
  std::span<std::uint8_t> copy_;
  std::vector<MissingRange> missing_;
  std::vector<std::uint8_t> slice_;
  std::uint64_t at_ = 0; ///< bytes done
  int attempts_ = 0;
  bool done_ = false;
};

} // namespace outguard::guest
