#pragma once
// The file that becomes an archive: without a name until it is whole and on disk, so that no half
// one is ever found, whatever ends the process. Never replaces a file. Not for the eyes of others
// (0600). Removes what it had to name before that, when it ends.

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::evidence {

class ArchiveFile {
public:
  /// `path`: of the archive; its folder is there.
  [[nodiscard]] static Result<ArchiveFile> open(const std::string &path);
  ArchiveFile(ArchiveFile &&other) noexcept;
  ArchiveFile &operator=(ArchiveFile &&) = delete;
  ~ArchiveFile();

  [[nodiscard]] const Fd &file() const { return file_; }

  struct Kept {
    std::string sha256; ///< hexadecimal digits, of the bytes as read back
    std::uint64_t bytes = 0;
  };
  /// On disk, under its name.
  [[nodiscard]] Result<Kept> keep();

private:
  ArchiveFile(std::string path, std::string part, Fd file);
  std::string path_;
  std::string part_; ///< its name till then; empty: none
  Fd file_;
};

/// The folder is there and ours (0700 when made here), and holds fewer than `most` archives.
[[nodiscard]] Result<void> prepare_folder(const std::string &folder, std::size_t most);

} // namespace outguard::evidence
