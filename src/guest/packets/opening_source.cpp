#include "guest/packets/opening_source.h"

#include <algorithm>

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

namespace outguard::guest {

namespace {

/// A frame that fills its place may have been longer, how long is not told: the longest on a tap.
constexpr std::uint32_t kLongestFrame = 14 + 4 + 65535 + 40;

} // namespace

Result<std::size_t> OpeningSource::fill(std::span<PacketView> out) {
  std::size_t count = 0;
  for (; count < std::min(out.size(), frames_.size()); ++count) {
    auto &frame = frames_[count];
    const ssize_t size = ::read(fd_.get(), frame.data(), frame.size());
    if (size < 0) {
      break; // nothing more, or the device is down, which the ring tells
    }
    out[count] = {};
    out[count].bytes = std::span(frame).first(static_cast<std::size_t>(size));
    out[count].original_length =
        out[count].bytes.size() == frame.size() ? kLongestFrame : 0; // 0: all of it is here
    out[count].direction = FlowDirection::ToRemote;                  // the filter passes no other
  }
  count_lost();
  const std::int64_t now = wall_now().time_since_epoch().count();
  for (PacketView &view : out.first(count)) {
    view.timestamp_ns = now;
  }
  return count;
}

void OpeningSource::count_lost() {
  tpacket_stats statistics{}; // the kernel sets its own counters to zero with each look
  socklen_t length = sizeof statistics;
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0) {
    counters_.lost_in_kernel += statistics.tp_drops;
  }
}

} // namespace outguard::guest
