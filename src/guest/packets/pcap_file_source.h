#pragma once
// Packets from a capture file: pcap or pcapng, told by its first bytes; gzip is unpacked. Reads
// forward only, so a pipe will do. A damaged file ends with an error that names the offset; the
// packets before it were good.

#include <cstdint>
#include <memory>
#include <optional>

#include "guest/packets/capture_file.h"
#include "guest/packets/capture_reader.h"
#include "guest/packets/packet_source.h"

namespace outguard::guest {

class PcapFileSource final : public PacketSource {
public:
  explicit PcapFileSource(Fd file);

  struct Problem {
    std::uint64_t offset = 0; ///< of the record that could not be read
    const char *reason = nullptr;
  };
  /// Set once next() has returned an error.
  [[nodiscard]] const std::optional<Problem> &problem() const { return problem_; }

  /// Of the file, so far.
  [[nodiscard]] std::uint64_t bytes_read() const { return file_.bytes_read(); }

private:
  [[nodiscard]] Result<std::size_t> fill(std::span<PacketView> out) override;
  [[nodiscard]] Result<void> read_more();
  [[nodiscard]] std::span<const std::uint8_t> unread() const;
  void pass_over(std::size_t bytes);
  [[nodiscard]] tl::unexpected<Fault> end_with(FaultCode code, const char *reason);

  CaptureFile file_;
  CaptureReader reader_;
  std::unique_ptr<std::uint8_t[]> buffer_; ///< fixed size: twice the largest record
  std::size_t begin_ = 0;                  ///< unread part of the buffer
  std::size_t end_ = 0;
  std::uint64_t offset_ = 0; ///< of what is unread in the file, unpacked
  std::uint64_t to_skip_ = 0;
  bool at_end_ = false;
  std::optional<Problem> problem_;
};

} // namespace outguard::guest
