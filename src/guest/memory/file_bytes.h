#pragma once
// The bytes of a dump file, whichever way they are stored. Owns the descriptor and reads with
// pread: a file that shrinks meanwhile gives an error, never a signal. One thread at a time.

#include <cstdint>
#include <memory>
#include <span>

#include "base/fd.h"
#include "guest/memory/source_problem.h"

namespace outguard::guest {

class FileBytes {
public:
  FileBytes() = default;
  FileBytes(const FileBytes &) = delete;
  FileBytes &operator=(const FileBytes &) = delete;
  virtual ~FileBytes() = default;

  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// All of `out`, or why not.
  [[nodiscard]] Opened<void> read(std::uint64_t offset, std::span<std::uint8_t> out) const;
  /// A struct as it lies in the file.
  template <class T> [[nodiscard]] Opened<T> read_as(std::uint64_t offset) const {
    T value;
    auto done = read(offset, {reinterpret_cast<std::uint8_t *>(&value), sizeof value});
    if (!done) {
      return tl::unexpected(done.error());
    }
    return value;
  }
  [[nodiscard]] bool holds(std::uint64_t offset, std::uint64_t length) const {
    return offset <= size() && length <= size() - offset;
  }

private:
  /// `out` lies within size().
  [[nodiscard]] virtual Opened<void> fill(std::uint64_t offset,
                                          std::span<std::uint8_t> out) const = 0;
};

/// A file as the file system shows it.
class PlainFile final : public FileBytes {
public:
  [[nodiscard]] static Opened<std::unique_ptr<FileBytes>> open(Fd file);
  [[nodiscard]] std::uint64_t size() const override { return size_; }

private:
  PlainFile(Fd file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  [[nodiscard]] Opened<void> fill(std::uint64_t offset, std::span<std::uint8_t> out) const override;

  Fd file_;
  std::uint64_t size_;
};

} // namespace outguard::guest
