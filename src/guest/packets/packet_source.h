#pragma once
// Where packets come from: a tap's ring (LiveSource) or a capture file (PcapFileSource). Hands out
// batches; the views live until the next call. Owns its descriptor. One thread at a time.

#include <array>
#include <cstdint>
#include <span>

#include "base/fd.h"
#include "guest/bytes/fault.h"
#include "guest/packets/packet_view.h"

namespace outguard::guest {

/// What a source knows of packets that it could not hand out. Only ever grows.
struct SourceCounters {
  std::uint64_t handed_out = 0;
  std::uint64_t lost_in_kernel = 0; ///< ring full: the kernel had no place for them
  std::uint64_t bad_records = 0;    ///< ring or file record that makes no sense
};

class PacketSource {
public:
  static constexpr std::size_t kBatch = 256;

  PacketSource(const PacketSource &) = delete;
  PacketSource &operator=(const PacketSource &) = delete;
  virtual ~PacketSource() = default;

  /// The next packets. Empty: none now (live), or the end (file). An error is final; what had been
  /// handed out before stays good.
  [[nodiscard]] Result<std::span<const PacketView>> next();

  /// Readable (poll) when next() may have something.
  [[nodiscard]] int descriptor() const { return fd_.get(); }
  [[nodiscard]] const SourceCounters &counters() const { return counters_; }

protected:
  explicit PacketSource(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  SourceCounters counters_;

private:
  /// Fills the front of `out`; returns how many.
  [[nodiscard]] virtual Result<std::size_t> fill(std::span<PacketView> out) = 0;

  std::array<PacketView, kBatch> batch_{};
};

} // namespace outguard::guest
