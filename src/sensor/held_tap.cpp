#include "sensor/held_tap.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <utility>

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace outguard::sensor {

namespace {

constexpr int kBatch = 64;             ///< frames before others have their turn
constexpr std::size_t kPage = 4096;    ///< the pulse's
constexpr std::size_t kAddresses = 12; ///< both MACs, before a tag
constexpr std::uint16_t kVlanTpid = 0x8100;

std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(monotonic_now().time_since_epoch().count());
}

void store(std::uint64_t &word, std::uint64_t value) {
  std::atomic_ref(word).store(value, std::memory_order_release);
}

} // namespace

struct HeldTap::Frame {
  std::span<std::uint8_t> header, bytes;
  std::uint32_t mark = 0;
  std::optional<guest::VlanTag> tag;

  [[nodiscard]] HoldWay way() const {
    return (mark & kHeldToGuest) != 0 ? HoldWay::ToGuest : HoldWay::FromGuest;
  }
  [[nodiscard]] guest::PacketView view() const {
    guest::PacketView packet;
    packet.bytes = bytes;
    packet.original_length = static_cast<std::uint32_t>(bytes.size());
    packet.timestamp_ns = wall_now().time_since_epoch().count();
    packet.outer_tag = tag;
    packet.direction = way() == HoldWay::ToGuest ? FlowDirection::ToGuest : FlowDirection::ToRemote;
    return packet;
  }
};

std::unique_ptr<HeldTap> HeldTap::open(const HoldSlots &slots, std::size_t tap,
                                       std::unique_ptr<HoldJudge> judge) {
  std::unique_ptr<HeldTap> held(new HeldTap);
  for (std::size_t i = 0; i < kHoldDescriptors; ++i) {
    held->sockets_[i] = slots.descriptor(tap, i);
  }
  void *page =
      ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, held->sockets_[kHoldPulse], 0);
  if (page == MAP_FAILED) {
    return nullptr;
  }
  const auto &wanted = slots.request().taps[tap];
  held->pulse_ = static_cast<HoldPulse *>(page);
  held->interface_ = wanted.interface;
  held->patience_ = std::max(std::chrono::milliseconds(1),
                             std::chrono::duration_cast<std::chrono::milliseconds>(
                                 std::chrono::nanoseconds(wanted.settings.bound_ns / 8)));
  held->judge_ = std::move(judge);
  held->room_ = std::make_unique<std::array<std::uint8_t, sizeof(HoldHeader) + kMostHeldFrame>>();
  return held;
}

HeldTap::~HeldTap() {
  if (pulse_ != nullptr) {
    ::munmap(pulse_, kPage);
  }
}

bool HeldTap::work(const Refused &refused) {
  store(pulse_->beat_ns, monotonic_ns());
  for (int i = 0; i < kBatch; ++i) {
    const auto held = std::atomic_ref(pulse_->held).load(std::memory_order_acquire);
    Frame frame;
    if (!receive(frame)) {
      store(pulse_->drained, held);
      return false;
    }
    ++counts_.received;
    if ((frame.mark & kHoldMarkMask) != kHeldMark || frame.bytes.empty()) {
      ++counts_.strange;
      continue;
    }
    answer(frame, refused);
  }
  store(pulse_->beat_ns, monotonic_ns());
  return true;
}

/// False: none is there now. One that cannot be answered has no bytes.
bool HeldTap::receive(Frame &frame) {
  iovec place{room_->data(), room_->size()};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata)) +
                                                CMSG_SPACE(sizeof(std::uint32_t))>
      control{};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(sockets_[kHoldReceive], &message, MSG_DONTWAIT);
  if (size < 0) {
    return false;
  }
  const auto whole = static_cast<std::size_t>(size);
  for (cmsghdr *one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SO_MARK) {
      std::memcpy(&frame.mark, CMSG_DATA(one), sizeof frame.mark);
    } else if (one->cmsg_level == SOL_PACKET && one->cmsg_type == PACKET_AUXDATA) {
      tpacket_auxdata more{};
      std::memcpy(&more, CMSG_DATA(one), sizeof more);
      if ((more.tp_status & TP_STATUS_VLAN_VALID) != 0) {
        const bool has_protocol = (more.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
        frame.tag = guest::VlanTag{more.tp_vlan_tci, has_protocol ? more.tp_vlan_tpid : kVlanTpid};
      }
    }
  }
  const bool fits = (message.msg_flags & MSG_TRUNC) == 0 &&
                    whole > sizeof(HoldHeader) + kAddresses && whole <= room_->size();
  if (fits) {
    frame.header = std::span(*room_).first<sizeof(HoldHeader)>();
    frame.bytes = std::span(*room_).subspan(sizeof(HoldHeader), whole - sizeof(HoldHeader));
  }
  return true;
}

void HeldTap::answer(const Frame &frame, const Refused &refused) {
  if ((frame.mark & kHeldLater) != 0) {
    return send(frame, judge_->follow());
  }
  const auto packet = frame.view();
  const auto verdict = judge_->judge(packet);
  if (verdict) {
    send(frame, *verdict);
  }
  const bool let_out =
      verdict && *verdict != HoldVerdict::Refuse; // what did not leave the host is not on the ring
  if (!let_out && frame.way() == HoldWay::ToGuest) {
    refused(packet);
  }
}

void HeldTap::send(const Frame &frame, HoldVerdict verdict) {
  HoldHeader header;
  std::memcpy(&header, frame.header.data(), sizeof header);
  std::array<std::uint8_t, 4> tag{};
  std::size_t tag_bytes = 0;
  if (frame.tag) {
    const auto [control, protocol] = *frame.tag;
    tag = {static_cast<std::uint8_t>(protocol >> 8), static_cast<std::uint8_t>(protocol),
           static_cast<std::uint8_t>(control >> 8), static_cast<std::uint8_t>(control)};
    tag_bytes = tag.size();
    const auto moved = static_cast<std::uint16_t>(tag_bytes);
    header.checksum_start =
        static_cast<std::uint16_t>(header.checksum_start + ((header.flags & 1U) != 0 ? moved : 0));
    header.header_bytes =
        static_cast<std::uint16_t>(header.header_bytes + (header.gso_type != 0 ? moved : 0));
  }
  const std::array<iovec, 4> parts{
      iovec{&header, sizeof header}, iovec{frame.bytes.data(), kAddresses},
      iovec{tag.data(), tag_bytes},
      iovec{frame.bytes.data() + kAddresses, frame.bytes.size() - kAddresses}};
  const int socket = sockets_[answer_descriptor(frame.way(), verdict)];
  if (::writev(socket, parts.data(), static_cast<int>(parts.size())) < 0) {
    ++counts_.unsent;
  }
}

} // namespace outguard::sensor
