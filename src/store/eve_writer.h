#pragma once
// Appends whole lines to a file that an operator may rotate, cut or delete at any time. A full or
// broken disk costs lines, which are counted, and nothing else. Safe from any thread.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::store {

class EveWriter {
public:
  struct Counts {
    std::uint64_t written = 0;
    std::uint64_t lost = 0; ///< lines not, or not wholly, in the file
    std::uint64_t reopened = 0;
  };

  /// Creates the file with mode 0640 if there is none.
  [[nodiscard]] static Result<std::unique_ptr<EveWriter>> open(std::string path);

  /// Appends `line` and a line end in one write. An error says why this line is lost; the next one
  /// is tried again. Never waits for a reader (pipes).
  [[nodiscard]] Result<void> write(std::string_view line);
  /// On SIGHUP. Rotation is also noticed without it: the path then names another file, or none.
  [[nodiscard]] Result<void> reopen();

  [[nodiscard]] Counts counts() const;

private:
  explicit EveWriter(std::string path) : path_(std::move(path)) {}

  // The rest is called with mutex_ held.
  [[nodiscard]] Result<void> open_file();
  [[nodiscard]] bool is_current() const;
  [[nodiscard]] Result<void> write_locked(std::string_view line);

  const std::string path_;
  mutable std::mutex mutex_;
  Fd file_;
  bool torn_ = false; ///< the last write ended within a line
  Counts counts_;
};

} // namespace outguard::store
