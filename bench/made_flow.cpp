#include "made_flow.h"

#include <algorithm>
#include <utility>

namespace outguard::bench {

namespace {

constexpr std::uint32_t kSegment = 1448; ///< 1500 less 40 of headers and 12 of time stamps
constexpr std::uint8_t kFin = 1, kSyn = 2, kPush = 8, kAck = 16;
constexpr double kBackToBackUs = 15;
constexpr std::uint32_t kSegmentsAcknowledged = 2; ///< at once; receivers join segments

double between(Random &random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

std::size_t place(Sender sender) {
  return static_cast<std::size_t>(sender);
}
Sender other(Sender sender) {
  return sender == Sender::Client ? Sender::Server : Sender::Client;
}
std::uint32_t size_of(const Packet &packet) {
  return static_cast<std::uint32_t>(packet.begin.size()) + packet.noise;
}

} // namespace

Connection::Connection(MadeFlow &flow, Random &random)
    : flow_(flow), random_(random),
      round_trip_us_(between(random, 2'000, 60'000)), next_{static_cast<std::uint32_t>(random()),
                                                            static_cast<std::uint32_t>(random())} {}

Packet &Connection::add(Sender sender, std::uint8_t flags, double wait_us) {
  Packet packet;
  packet.sender = sender;
  packet.flags = flags;
  packet.sequence = next_[place(sender)];
  packet.acknowledgment = (flags & kAck) != 0 ? next_[place(other(sender))] : 0;
  packet.wait_ns = static_cast<std::int64_t>(wait_us * 1000);
  flow_.packets.push_back(std::move(packet));
  return flow_.packets.back();
}

void Connection::open() {
  add(Sender::Client, kSyn, 0);
  ++next_[0];
  add(Sender::Server, kSyn | kAck, round_trip_us_);
  ++next_[1];
  add(Sender::Client, kAck, 30);
}

void Connection::send(Sender sender, Bytes bytes, std::uint32_t noise) {
  double wait = travel_us();
  for (std::uint32_t segments = 1; !bytes.empty() || noise > 0; ++segments) {
    Packet &packet = add(sender, kAck, wait);
    const auto here = std::min<std::size_t>(bytes.size(), kSegment);
    const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(here);
    packet.begin.assign(bytes.begin(), end);
    bytes.erase(bytes.begin(), end);
    packet.noise = std::min(noise, kSegment - static_cast<std::uint32_t>(here));
    noise -= packet.noise;
    next_[place(sender)] += size_of(packet);
    const bool last = bytes.empty() && noise == 0;
    if (last) {
      packet.flags |= kPush;
    }
    if (segments % kSegmentsAcknowledged == 0 && !last) { // the last by what comes back
      add(other(sender), kAck, kBackToBackUs);
    }
    wait = kBackToBackUs;
  }
}

void Connection::close() {
  const auto first = random_() % 3 == 0 ? Sender::Server : Sender::Client;
  add(first, kFin | kAck, travel_us());
  ++next_[place(first)];
  add(other(first), kFin | kAck, round_trip_us_);
  ++next_[place(other(first))];
  add(first, kAck, 30);
}

void Connection::disturb() {
  constexpr std::uint64_t kOneIn = 1000, kSwapped = 8, kRepeated = 4;
  auto &packets = flow_.packets;
  for (std::size_t i = 3; i + 1 < packets.size(); ++i) {
    const auto &next = packets[i + 1];
    const bool data = size_of(packets[i]) > 0;
    const auto chance = random_() % kOneIn;
    if (data && chance < kSwapped && next.sender == packets[i].sender && size_of(next) > 0) {
      std::swap(packets[i], packets[i + 1]);
      ++i;
    } else if (data && chance < kSwapped + kRepeated) {
      Packet again = packets[i];
      again.wait_ns = 300'000;
      packets.insert(packets.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::move(again));
      ++i;
    }
  }
}

} // namespace outguard::bench
