#include <cstdlib>

#include "guest/packets/ring_block.h"
#include "guest/packets/ring_test_builder.h"
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
  RingPacket tagged{.bytes = Bytes(20, 2)};
  tagged.status = TP_STATUS_VLAN_VALID;
  return {ring_block({RingPacket{.bytes = Bytes(60, 1)}, tagged, tagged}, 1024)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const Bytes memory(data, data + size);
  RingBlock block(memory);
  std::size_t count = 0;
  const auto next = [&block](PacketView &view) {
    return the_clock().time("packet", [&] { return block.next(view); });
  };
  for (PacketView view; next(view); ++count) {
    const bool inside = view.bytes.empty() ||
                        (view.bytes.data() >= memory.data() &&
                         view.bytes.data() + view.bytes.size() <= memory.data() + memory.size());
    if (!inside || view.timestamp_ns < 0 || view.original_length < view.bytes.size()) {
      std::abort();
    }
  }
  if (count > size) {
    std::abort();
  }
  return 0;
}
