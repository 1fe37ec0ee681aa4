#include "guest/packets/pcap_file_source.h"

#include <algorithm>
#include <cstring>

namespace outguard::guest {

namespace {

constexpr std::size_t kBuffer = 2U << 20; ///< twice the largest record
/// So little that what is read is still in the second cache when it is looked at.
constexpr std::size_t kReadAtOnce = 256U << 10;
static_assert(kBuffer / 2 > kMaxCapturedPacket);

} // namespace

PcapFileSource::PcapFileSource(Fd file)
    : PacketSource(std::move(file)), file_(fd_.get()),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kBuffer)) {}

std::span<const std::uint8_t> PcapFileSource::unread() const {
  return {buffer_.get() + begin_, end_ - begin_};
}

void PcapFileSource::pass_over(std::size_t bytes) {
  begin_ += bytes;
  offset_ += bytes;
}

Result<std::size_t> PcapFileSource::fill(std::span<PacketView> out) {
  if (problem_) {
    return fault(FaultCode::Malformed, problem_->offset);
  }
  std::size_t count = 0;
  while (count < out.size()) {
    const std::size_t skipped = std::min<std::uint64_t>(to_skip_, end_ - begin_);
    to_skip_ -= skipped;
    pass_over(skipped);
    if (to_skip_ == 0) {
      const auto run = reader_.run(unread(), out.subspan(count));
      pass_over(run.used);
      count += run.packets;
      if (count == out.size()) {
        break;
      }
    }
    const auto rest = unread();
    const auto step = to_skip_ > 0 ? CaptureReader::Step{} : reader_.next(rest);
    switch (step.outcome) {
    case CaptureReader::Outcome::Packet:
      out[count++] = step.packet;
      break;
    case CaptureReader::Outcome::Bad:
      ++counters_.bad_records;
      break;
    case CaptureReader::Outcome::Skipped:
      break;
    case CaptureReader::Outcome::NeedMore:
      if (count > 0) { // views into the buffer are out: it must not move now
        return count;
      }
      if (at_end_ && rest.empty() && to_skip_ == 0 && offset_ > 0) {
        return std::size_t{0};
      }
      if (at_end_) {
        return end_with(FaultCode::Malformed, offset_ == 0 ? "the file has no complete header"
                                                           : "the file ends within a record");
      }
      if (const auto done = read_more(); !done) {
        return tl::unexpected(done.error());
      }
      break;
    case CaptureReader::Outcome::Broken:
      if (count > 0) {
        return count; // the same step comes again, alone
      }
      return end_with(FaultCode::Malformed, step.reason);
    }
    to_skip_ = std::max(to_skip_, step.used);
  }
  return count;
}

Result<void> PcapFileSource::read_more() {
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const auto room = std::span(buffer_.get(), kBuffer).subspan(end_);
  const auto got = file_.read(room.first(std::min(room.size(), kReadAtOnce)));
  if (got < 0) {
    return end_with(FaultCode::SourceGone, file_.problem());
  }
  at_end_ = got == 0;
  end_ += static_cast<std::size_t>(got);
  return {};
}

tl::unexpected<Fault> PcapFileSource::end_with(FaultCode code, const char *reason) {
  problem_ = Problem{offset_, reason};
  counters_.bad_records += offset_ > 0 ? 1 : 0; // at 0 it is no capture, so no packet was lost
  return fault(code, offset_);
}

} // namespace outguard::guest
