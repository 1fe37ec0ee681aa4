#pragma once
// Joins the fragments of IPv4 and IPv6 packets as Linux does it (ip_frag_queue, ip6_frag_queue and
// inet_frag_queue_insert, 5.1 and later): a part that lies within what is there is dropped, one
// that overlaps it otherwise ends the whole packet (RFC 5722, for both families). Bounded by
// packet, pair of addresses and in total; no heap before the first fragment. Counts every fragment
// that waits no longer. Owned by the PacketPipeline, one thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/drop_reason.h"

namespace outguard::guest {

struct FragmentConfig {
  std::uint32_t packets = 256;           ///< that wait for more of their parts
  std::uint32_t packets_of_pair = 32;    ///< likewise, between the same two addresses
  std::uint32_t parts = 128;             ///< of one packet: 64 KiB in parts of 576 bytes are 119
  std::uint64_t total_bytes = 2 << 20;   ///< Linux takes 4 MiB a network namespace
  std::chrono::seconds ipv4_timeout{30}; ///< IP_FRAG_TIME
  std::chrono::seconds ipv6_timeout{60}; ///< IPV6_FRAG_TIMEOUT
};

struct FragmentCounters {
  std::uint64_t waiting = 0;    ///< fragments that are not counted yet
  std::uint64_t packets = 0;    ///< that wait for more of their parts
  std::uint64_t bytes_held = 0; ///< now
  std::uint64_t joined = 0;     ///< packets
};

class FragmentAssembler {
public:
  /// What a part costs beside its bytes: its entry, and the heap's own.
  static constexpr std::uint32_t kPartOverhead = 64;

  /// Dropped fragments are counted in `packets`, or in `inside` those that came in a tunnel.
  FragmentAssembler(FragmentConfig config, PacketCounters &packets, PacketCounters &inside);

  struct Joined {
    std::vector<std::uint8_t> bytes;
    std::uint8_t protocol = 0;     ///< what the first part says
    std::uint16_t frames = 0;      ///< that the caller has to count now
    std::uint32_t wire_length = 0; ///< of those
  };
  struct Taken {
    bool waits = false; ///< for others
    std::optional<Joined> joined;
  };
  /// A whole part of a packet. `counted_by_caller`: if it waits, it is accounted for already.
  [[nodiscard]] Taken add(const DecodedPacket &fragment, bool counted_by_caller);

  /// Gives up what has waited for too long.
  void expire(std::int64_t now_ns);
  void give_up_all();
  void limit(std::uint64_t total_bytes) { config_.total_bytes = total_bytes; }

  [[nodiscard]] const FragmentCounters &counters() const { return counters_; }

private:
  struct Part {
    std::uint32_t offset = 0;
    bool continues = false; ///< came in order behind the part before it: one run for Linux
    std::vector<std::uint8_t> bytes;
    [[nodiscard]] std::uint32_t end() const {
      return offset + static_cast<std::uint32_t>(bytes.size());
    }
  };
  struct Waiting {
    std::uint32_t id = 0;
    std::uint32_t network = 0;
    IpAddress source;
    IpAddress destination;
    std::uint8_t key_protocol = 0; ///< IPv4 only: part of what tells packets apart
    std::uint8_t protocol = 0;
    bool inside = false;
    bool last_seen = false;
    std::uint16_t uncounted = 0;
    std::uint32_t wire_length = 0; ///< of those not counted
    std::uint32_t length = 0;      ///< where the last part ends, or the furthest so far
    std::uint32_t present = 0;     ///< bytes
    std::int64_t first_ns = 0;
    std::vector<Part> parts; ///< by offset, disjoint
  };
  enum class Fit : std::uint8_t { New, Repeated, Overlaps };
  using Place = std::vector<Waiting>::iterator;

  [[nodiscard]] Place find(const DecodedPacket &fragment);
  [[nodiscard]] Place open(const DecodedPacket &fragment);
  [[nodiscard]] bool note_end(Waiting &packet, std::uint32_t end, bool is_last);
  [[nodiscard]] static Fit fit(const Waiting &packet, std::uint32_t offset, std::uint32_t end);
  [[nodiscard]] bool make_room(std::uint64_t bytes, const Waiting &keep);
  [[nodiscard]] Joined join(const Waiting &packet);
  void give_up(Place packet, DropReason reason);
  void forget(Place packet);
  [[nodiscard]] bool is_late(const Waiting &packet, std::int64_t now_ns) const;
  [[nodiscard]] PacketCounters &account(bool inside) { return inside ? inside_ : packets_; }

  FragmentConfig config_;
  PacketCounters &packets_;
  PacketCounters &inside_;
  std::vector<Waiting> waiting_; ///< in no order
  FragmentCounters counters_;
};

} // namespace outguard::guest
