#pragma once
// A dump in makedumpfile's flattened form, shown as the file that it stands for: a stream of
// records "these bytes go to offset X", later ones over earlier ones, as `makedumpfile -F` and
// QEMU's kdump formats write it. What no record covers is zero, as in the file that
// `makedumpfile -R` makes of it.

#include <vector>

#include "guest/memory/file_bytes.h"

namespace outguard::guest {

class FlattenedFile final : public FileBytes {
public:
  [[nodiscard]] static bool is_flattened(const FileBytes &file);
  [[nodiscard]] static Opened<std::unique_ptr<FileBytes>> open(std::unique_ptr<FileBytes> file);
  [[nodiscard]] std::uint64_t size() const override { return size_; }

private:
  struct Piece {
    std::uint64_t start = 0; ///< in the file that this stands for
    std::uint64_t length = 0;
    std::uint64_t stored_at = 0;

    [[nodiscard]] std::uint64_t end() const { return start + length; }
  };

  explicit FlattenedFile(std::unique_ptr<FileBytes> file) : file_(std::move(file)) {}
  [[nodiscard]] Opened<void> read_records();
  void resolve_overlaps();
  [[nodiscard]] Opened<void> fill(std::uint64_t offset, std::span<std::uint8_t> out) const override;

  std::unique_ptr<FileBytes> file_;
  std::vector<Piece> pieces_; ///< sorted by start, without overlap
  std::uint64_t size_ = 0;
};

} // namespace outguard::guest
