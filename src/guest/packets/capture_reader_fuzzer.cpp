#include <array>
#include <cstdlib>

#include "guest/packets/capture_reader.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/scan_clock.h"

using namespace outguard::guest;

namespace {
ScanClock &the_clock() {
  static ScanClock clock;
  return clock;
}
} // namespace

std::map<std::string, std::uint64_t> take_scan_times();
std::map<std::string, std::uint64_t> take_scan_times() {
  return the_clock().take();
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  const std::vector<Bytes> packets{Bytes(60, 1), Bytes(7, 2)};
  return {pcap_file(packets), pcap_file(packets, ByteOrder::Big, Resolution::Nano, 101),
          pcapng_file(packets), pcapng_file(packets, ByteOrder::Big, Resolution::Nano)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  CaptureReader reader;
  std::span<const std::uint8_t> rest(data, size);
  for (;;) {
    std::array<PacketView, 3> views;
    const auto run = reader.run(rest, views);
    if (run.packets > views.size() || run.used > rest.size()) {
      std::abort();
    }
    const auto step = the_clock().time("block", [&] { return reader.next(rest); });
    if (step.outcome == CaptureReader::Outcome::NeedMore ||
        step.outcome == CaptureReader::Outcome::Broken) {
      if ((step.outcome == CaptureReader::Outcome::Broken) != (step.reason != nullptr)) {
        std::abort();
      }
      return 0;
    }
    const auto &packet = step.packet;
    if (run.packets > 0 && (step.outcome != CaptureReader::Outcome::Packet ||
                            views[0].bytes.data() != packet.bytes.data() ||
                            views[0].bytes.size() != packet.bytes.size() ||
                            views[0].timestamp_ns != packet.timestamp_ns)) {
      std::abort(); // not the packets that next() would hand out
    }
    const bool inside = packet.bytes.empty() ||
                        (packet.bytes.data() >= rest.data() &&
                         packet.bytes.data() + packet.bytes.size() <= rest.data() + rest.size());
    if (step.used == 0 || !inside || packet.timestamp_ns < 0 ||
        packet.original_length < packet.bytes.size()) {
      std::abort(); // no progress, or a view of something else
    }
    rest = rest.subspan(std::min<std::uint64_t>(step.used, rest.size()));
  }
}
