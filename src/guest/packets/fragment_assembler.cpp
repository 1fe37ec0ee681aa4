#include "guest/packets/fragment_assembler.h"

#include <algorithm>

namespace outguard::guest {

namespace {

constexpr std::uint32_t kMostBytes = 65535; ///< what a length field can say

} // namespace

FragmentAssembler::FragmentAssembler(FragmentConfig config, PacketCounters &packets,
                                     PacketCounters &inside)
    : config_(config), packets_(packets), inside_(inside) {
  static_assert(kPartOverhead >= sizeof(Part) + 16);
}

FragmentAssembler::Taken FragmentAssembler::add(const DecodedPacket &fragment,
                                                bool counted_by_caller) {
  const bool is_v4 = fragment.source.address.family == IpFamily::V4;
  const bool inside = fragment.carrier.place != 0;
  const std::uint32_t offset = fragment.fragment_offset;
  auto bytes = fragment.payload;
  if (fragment.more_fragments && bytes.size() % 8 != 0) {
    // Linux cuts IPv4's to a multiple of eight, and refuses IPv6's alone.
    bytes = bytes.first(is_v4 ? bytes.size() / 8 * 8 : 0);
  }
  const std::uint32_t end = offset + static_cast<std::uint32_t>(bytes.size());
  if (end > kMostBytes || (bytes.empty() && !is_v4 && !fragment.payload.empty())) {
    account(inside).drop(DropReason::FragmentBad);
    return {};
  }
  auto packet = find(fragment);
  if (packet == waiting_.end()) {
    packet = open(fragment);
  }
  const auto refuse = [&](DropReason reason) {
    account(inside).drop(reason);
    give_up(packet, reason);
    return Taken{};
  };
  if (bytes.empty() || !note_end(*packet, end, !fragment.more_fragments)) {
    return refuse(DropReason::FragmentBad);
  }
  switch (fit(*packet, offset, end)) {
  case Fit::New:
    break;
  case Fit::Repeated:
    account(inside).drop(DropReason::FragmentRepeated);
    return {};
  case Fit::Overlaps:
    return refuse(DropReason::FragmentOverlap);
  }
  const bool has_room =
      packet->parts.size() < config_.parts && make_room(bytes.size() + kPartOverhead, *packet);
  packet = find(fragment); // others may have been given up
  if (!has_room) {
    return refuse(DropReason::FragmentIncomplete);
  }
  auto &parts = packet->parts;
  const auto behind = std::find_if(parts.begin(), parts.end(),
                                   [&](const Part &part) { return part.offset > offset; });
  const bool continues = behind == parts.end() && !parts.empty() && parts.back().end() == offset;
  parts.insert(behind, Part{offset, continues, {bytes.begin(), bytes.end()}});
  packet->present += static_cast<std::uint32_t>(bytes.size());
  counters_.bytes_held += bytes.size() + kPartOverhead;
  if (offset == 0) {
    packet->protocol = fragment.protocol;
  }
  const bool whole = packet->last_seen && packet->present == packet->length;
  if (whole || !counted_by_caller) {
    ++packet->uncounted;
    ++counters_.waiting;
    packet->wire_length += fragment.wire_length;
  }
  if (!whole) {
    return {true, std::nullopt};
  }
  Taken taken{false, join(*packet)};
  forget(packet);
  ++counters_.joined;
  return taken;
}

/// False: what the parts say of the packet's end contradicts itself.
bool FragmentAssembler::note_end(Waiting &packet, std::uint32_t end, bool is_last) {
  if (is_last) {
    if (end < packet.length || (packet.last_seen && end != packet.length)) {
      return false;
    }
    packet.last_seen = true;
    packet.length = end;
  } else if (end > packet.length) {
    if (packet.last_seen) {
      return false;
    }
    packet.length = end;
  }
  return true;
}

FragmentAssembler::Fit FragmentAssembler::fit(const Waiting &packet, std::uint32_t offset,
                                              std::uint32_t end) {
  const auto &parts = packet.parts;
  auto part =
      std::find_if(parts.begin(), parts.end(), [&](const Part &one) { return one.end() > offset; });
  if (part == parts.end() || part->offset >= end) {
    return Fit::New;
  }
  if (part->offset > offset) {
    return Fit::Overlaps;
  }
  while (part + 1 != parts.end() && part[1].continues) {
    ++part;
  }
  return end <= part->end() ? Fit::Repeated : Fit::Overlaps;
}

FragmentAssembler::Place FragmentAssembler::find(const DecodedPacket &fragment) {
  const bool is_v4 = fragment.source.address.family == IpFamily::V4;
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting &packet) {
    return packet.id == fragment.fragment_id && packet.network == fragment.network &&
           packet.source == fragment.source.address &&
           packet.destination == fragment.destination.address &&
           packet.key_protocol == (is_v4 ? fragment.protocol : 0);
  });
  if (found != waiting_.end() && is_late(*found, fragment.timestamp_ns)) {
    give_up(found, DropReason::FragmentIncomplete);
    return waiting_.end();
  }
  return found;
}

/// Who waits longest makes room: of the same pair of addresses where that has too many, else of
/// all.
FragmentAssembler::Place FragmentAssembler::open(const DecodedPacket &fragment) {
  const auto older = [](const Waiting &a, const Waiting &b) { return a.first_ns < b.first_ns; };
  std::uint32_t of_pair = 0;
  auto oldest_of_pair = waiting_.end();
  for (auto one = waiting_.begin(); one != waiting_.end(); ++one) {
    if (one->source == fragment.source.address &&
        one->destination == fragment.destination.address && one->network == fragment.network) {
      ++of_pair;
      oldest_of_pair =
          oldest_of_pair == waiting_.end() || older(*one, *oldest_of_pair) ? one : oldest_of_pair;
    }
  }
  if (of_pair >= config_.packets_of_pair) {
    give_up(oldest_of_pair, DropReason::FragmentIncomplete);
  } else if (waiting_.size() >= config_.packets) {
    give_up(std::min_element(waiting_.begin(), waiting_.end(), older),
            DropReason::FragmentIncomplete);
  }
  Waiting &packet = waiting_.emplace_back();
  packet.id = fragment.fragment_id;
  packet.network = fragment.network;
  packet.source = fragment.source.address;
  packet.destination = fragment.destination.address;
  packet.key_protocol = packet.source.family == IpFamily::V4 ? fragment.protocol : 0;
  packet.protocol = fragment.protocol;
  packet.inside = fragment.carrier.place != 0;
  packet.first_ns = fragment.timestamp_ns;
  ++counters_.packets;
  return waiting_.end() - 1;
}

/// Moves what waits; `keep` stays among it.
bool FragmentAssembler::make_room(std::uint64_t bytes, const Waiting &keep) {
  const std::int64_t kept_ns = keep.first_ns;
  const std::uint32_t kept_id = keep.id;
  while (counters_.bytes_held + bytes > config_.total_bytes) {
    auto oldest = waiting_.end();
    for (auto one = waiting_.begin(); one != waiting_.end(); ++one) {
      const bool is_kept = one->first_ns == kept_ns && one->id == kept_id;
      if (!is_kept && (oldest == waiting_.end() || one->first_ns < oldest->first_ns)) {
        oldest = one;
      }
    }
    if (oldest == waiting_.end()) {
      return false;
    }
    give_up(oldest, DropReason::FragmentIncomplete);
  }
  return true;
}

FragmentAssembler::Joined FragmentAssembler::join(const Waiting &packet) {
  Joined joined{{}, packet.protocol, packet.uncounted, packet.wire_length};
  joined.bytes.reserve(packet.length);
  for (const Part &part : packet.parts) {
    joined.bytes.insert(joined.bytes.end(), part.bytes.begin(), part.bytes.end());
  }
  return joined;
}

void FragmentAssembler::give_up(Place packet, DropReason reason) {
  account(packet->inside).drop(reason, packet->uncounted);
  forget(packet);
}

/// The last takes the place that becomes free.
void FragmentAssembler::forget(Place packet) {
  for (const Part &part : packet->parts) {
    counters_.bytes_held -= part.bytes.size() + kPartOverhead;
  }
  counters_.waiting -= packet->uncounted;
  --counters_.packets;
  if (packet != waiting_.end() - 1) {
    *packet = std::move(waiting_.back());
  }
  waiting_.pop_back();
}

bool FragmentAssembler::is_late(const Waiting &packet, std::int64_t now_ns) const {
  const bool is_v4 = packet.source.family == IpFamily::V4;
  const auto timeout = is_v4 ? config_.ipv4_timeout : config_.ipv6_timeout;
  return now_ns - packet.first_ns > std::chrono::nanoseconds(timeout).count();
}

void FragmentAssembler::expire(std::int64_t now_ns) {
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    const auto packet = waiting_.begin() + static_cast<std::ptrdiff_t>(left - 1);
    if (is_late(*packet, now_ns)) {
      give_up(packet, DropReason::FragmentIncomplete);
    }
  }
}

void FragmentAssembler::give_up_all() {
  while (!waiting_.empty()) {
    give_up(waiting_.end() - 1, DropReason::FragmentIncomplete);
  }
}

} // namespace outguard::guest
