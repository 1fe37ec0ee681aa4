#pragma once
// The bytes of a capture file, unpacked on the way if gzip packed them (also several files one
// behind the other). Reads forward only, a piece at a time, so that what a file unpacks to costs no
// memory. Does not own the descriptor. One thread.

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace outguard::guest {

class CaptureFile {
public:
  explicit CaptureFile(int fd);
  ~CaptureFile();

  /// How many bytes it put into `out`; 0: the end; negative: problem() says why.
  [[nodiscard]] std::int64_t read(std::span<std::uint8_t> out);
  [[nodiscard]] const char *problem() const { return problem_; }
  /// Of the file, packed or not.
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }

private:
  struct Unpacker;

  [[nodiscard]] std::int64_t read_file(std::span<std::uint8_t> out);
  /// Reads the first bytes, which say how the file is packed.
  [[nodiscard]] bool begin();
  [[nodiscard]] std::int64_t unpack(std::span<std::uint8_t> out);
  [[nodiscard]] std::int64_t fail(const char *why);

  int fd_;
  std::uint64_t bytes_read_ = 0;
  const char *problem_ = nullptr;
  bool begun_ = false;
  std::array<std::uint8_t, 6> first_{};
  std::size_t first_size_ = 0, first_used_ = 0;
  std::unique_ptr<Unpacker> unpacker_; ///< null: the file is not packed
};

} // namespace outguard::guest
