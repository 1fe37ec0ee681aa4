#pragma once
// Single indicators added and removed by hand, beside the lists: the files `added` and `removed` in
// a folder that the supervisor watches. One value a line, behind it `# ` and when. Owned by whoever
// edits; several processes may, and none ever sees half a change: writers hold the lock `lock`, and
// a file is replaced as a whole.

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::store {

class IntelChanges {
public:
  enum class List { Added, Removed };
  static constexpr std::size_t kMostBytes = std::size_t{16} << 20; ///< of a file

  /// Makes the folder if there is none, and waits for the lock.
  [[nodiscard]] static Result<IntelChanges> open(std::string folder);

  /// Puts the values into `list` and takes them out of the other. Returns how many were not there
  /// yet.
  [[nodiscard]] Result<std::size_t> put(List list, const std::vector<std::string> &values);

  struct Entry {
    std::string value, note; ///< the note is what stands behind `#`
  };
  [[nodiscard]] Result<std::vector<Entry>> read(List list) const;

private:
  IntelChanges(std::string folder, Fd folder_fd, Fd lock)
      : folder_(std::move(folder)), folder_fd_(std::move(folder_fd)), lock_(std::move(lock)) {}
  [[nodiscard]] Result<std::vector<std::string>> lines_of(List list) const;
  [[nodiscard]] Result<void> replace(List list, const std::vector<std::string> &lines) const;

  std::string folder_;
  Fd folder_fd_;
  Fd lock_;
};

} // namespace outguard::store
