#pragma once
// A judge of held packets for tests and benchmarks (facts/hold.h): one thread that asks a function.
// Header only.

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/fd.h"
#include "facts/hold.h"

namespace outguard::respond {

/// A frame as it was on its link, with the tag that the kernel took off put back.
struct WholeFrame {
  HoldHeader header;
  std::uint32_t mark = 0;
  std::span<std::uint8_t> bytes;
};

inline constexpr std::size_t kTagBytes = 4;

/// From a packet socket with PACKET_VNET_HDR and PACKET_AUXDATA. nullopt: nothing came.
inline std::optional<WholeFrame> receive_whole(int socket, std::vector<std::uint8_t> &buffer) {
  buffer.resize(kTagBytes + kMostHeldFrame);
  WholeFrame frame;
  std::array<iovec, 2> parts{iovec{&frame.header, sizeof frame.header},
                             iovec{buffer.data() + kTagBytes, kMostHeldFrame}};
  alignas(cmsghdr) std::array<std::uint8_t, 256> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &message, 0);
  if (got < static_cast<ssize_t>(sizeof frame.header)) {
    return std::nullopt;
  }
  frame.bytes =
      std::span(buffer).subspan(kTagBytes, static_cast<std::size_t>(got) - sizeof frame.header);
  tpacket_auxdata about{};
  for (cmsghdr *item = CMSG_FIRSTHDR(&message); item != nullptr;
       item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level == SOL_PACKET && item->cmsg_type == PACKET_AUXDATA) {
      std::memcpy(&about, CMSG_DATA(item), sizeof about);
    } else if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_MARK) {
      std::memcpy(&frame.mark, CMSG_DATA(item), sizeof frame.mark);
    }
  }
  if ((about.tp_status & TP_STATUS_VLAN_VALID) != 0) {
    std::memmove(buffer.data(), buffer.data() + kTagBytes, 12);
    frame.bytes = std::span(buffer).first(frame.bytes.size() + kTagBytes);
    const std::array<std::uint8_t, kTagBytes> tag{
        static_cast<std::uint8_t>(about.tp_vlan_tpid >> 8),
        static_cast<std::uint8_t>(about.tp_vlan_tpid),
        static_cast<std::uint8_t>(about.tp_vlan_tci >> 8),
        static_cast<std::uint8_t>(about.tp_vlan_tci)};
    std::copy(tag.begin(), tag.end(), frame.bytes.begin() + 12);
    if ((frame.header.flags & 1) != 0) {
      frame.header.checksum_start = static_cast<std::uint16_t>(frame.header.checksum_start + 4);
    }
    if (frame.header.gso_type != 0) {
      frame.header.header_bytes = static_cast<std::uint16_t>(frame.header.header_bytes + 4);
    }
  }
  return frame;
}

class TestJudge {
public:
  using Descriptors = std::array<Fd, kHoldDescriptors>;
  using Decide = std::function<HoldVerdict(const WholeFrame &)>;

  TestJudge(Descriptors descriptors, Decide decide)
      : descriptors_(std::move(descriptors)), decide_(std::move(decide)) {
    void *page = ::mmap(nullptr, sizeof(HoldPulse), PROT_READ | PROT_WRITE, MAP_SHARED,
                        descriptors_[kHoldPulse].get(), 0);
    pulse_ = page == MAP_FAILED ? nullptr : static_cast<HoldPulse *>(page);
    if (pulse_ != nullptr) {
      beat();
      thread_ = std::thread([this] { run(); });
    }
  }
  TestJudge(const TestJudge &) = delete;
  TestJudge &operator=(const TestJudge &) = delete;
  ~TestJudge() {
    over_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
    if (pulse_ != nullptr) {
      ::munmap(pulse_, sizeof(HoldPulse));
    }
  }

  [[nodiscard]] bool is_mapped() const { return pulse_ != nullptr; }
  [[nodiscard]] unsigned judged() const { return judged_; }
  [[nodiscard]] const Descriptors &descriptors() const { return descriptors_; }
  /// Lives on, and answers nothing.
  void stall(bool on) { stalled_ = on; }

  static bool answer(int socket, const WholeFrame &frame) {
    HoldHeader header = frame.header;
    std::array<iovec, 2> parts{iovec{&header, sizeof header},
                               iovec{frame.bytes.data(), frame.bytes.size()}};
    return ::writev(socket, parts.data(), parts.size()) > 0;
  }

private:
  void beat() const {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::atomic_ref(pulse_->beat_ns)
        .store(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                   static_cast<std::uint64_t>(now.tv_nsec),
               std::memory_order_relaxed);
  }
  void run() {
    std::vector<std::uint8_t> buffer;
    while (!over_) {
      beat();
      if (stalled_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        continue;
      }
      const auto held = std::atomic_ref(pulse_->held).load(std::memory_order_relaxed);
      const auto frame = receive_whole(descriptors_[kHoldReceive].get(), buffer);
      if (!frame) {
        std::atomic_ref(pulse_->drained).store(held, std::memory_order_relaxed);
        continue;
      }
      if ((frame->mark & kHoldMarkMask) != kHeldMark) {
        continue;
      }
      const auto way = (frame->mark & kHeldToGuest) != 0 ? HoldWay::ToGuest : HoldWay::FromGuest;
      const auto verdict = decide_(*frame);
      ++judged_;
      (void)answer(descriptors_.at(answer_descriptor(way, verdict)).get(), *frame);
    }
  }

  Descriptors descriptors_;
  Decide decide_;
  HoldPulse *pulse_ = nullptr;
  std::atomic<bool> over_{false}, stalled_{false};
  std::atomic<unsigned> judged_{0};
  std::thread thread_;
};

} // namespace outguard::respond
