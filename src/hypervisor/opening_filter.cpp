#include "hypervisor/opening_filter.h"

#include <array>
#include <span>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "facts/hold.h"
#include "facts/packet_ring.h"

namespace outguard::hypervisor {

namespace {

constexpr sock_filter step(std::uint32_t operation, std::uint32_t value = 0) {
  return {static_cast<std::uint16_t>(operation), 0, 0, value};
}

/// At line `here`: if the test holds go to line `yes`, else to `no`. The kernel takes distances.
constexpr sock_filter branch(int here, std::uint32_t test, std::uint32_t value, int yes, int no) {
  return {static_cast<std::uint16_t>(BPF_JMP | BPF_K | test),
          static_cast<std::uint8_t>(yes - here - 1), static_cast<std::uint8_t>(no - here - 1),
          value};
}

constexpr std::uint32_t kLoadByte = BPF_LD | BPF_B | BPF_IND; ///< at X and the value
constexpr std::uint32_t kLoadHalf = BPF_LD | BPF_H | BPF_IND;
constexpr std::uint32_t kFrameHalf = BPF_LD | BPF_H | BPF_ABS; ///< at the value
constexpr std::uint32_t kSetX = BPF_LDX | BPF_W | BPF_IMM;
constexpr auto kDirection = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE);
constexpr std::uint32_t kSyn = 0x02, kSynAndAck = 0x12;
constexpr int kPass = 27, kDrop = 28;

/// A load beyond the frame's end drops it.
constexpr std::array<sock_filter, 29> kProgram{
    step(BPF_LD | BPF_W | BPF_ABS, kDirection),
    branch(1, BPF_JEQ, PACKET_OUTGOING, kDrop, 2), // out of the host: to the guest
    step(kSetX, 14),                               // X: where the IP header begins
    step(kFrameHalf, 12),
    branch(4, BPF_JEQ, ETH_P_8021Q, 6, 5),
    branch(5, BPF_JEQ, ETH_P_8021AD, 6, 8),
    step(kSetX, 18), // 6: the tag that the kernel left in the frame
    step(kFrameHalf, 16),
    branch(8, BPF_JEQ, ETH_P_IP, 10, 9), // 8
    branch(9, BPF_JEQ, ETH_P_IPV6, 19, kDrop),
    step(kLoadHalf, 6),                      // 10: IPv4
    branch(11, BPF_JSET, 0x1fff, kDrop, 12), // fragments but the first have no TCP header
    step(kLoadByte, 9),
    branch(13, BPF_JEQ, IPPROTO_TCP, 14, kDrop),
    step(kLoadByte, 0),
    step(BPF_ALU | BPF_AND | BPF_K, 0x0f), // header length in words of four bytes
    step(BPF_ALU | BPF_LSH | BPF_K, 2),
    step(BPF_ALU | BPF_ADD | BPF_X),
    step(BPF_JMP | BPF_JA, 23 - 19),
    step(kLoadByte, 6), // 19: IPv6
    branch(20, BPF_JEQ, IPPROTO_TCP, 21, kDrop),
    step(BPF_MISC | BPF_TXA),
    step(BPF_ALU | BPF_ADD | BPF_K, 40),
    step(BPF_MISC | BPF_TAX), // 23: X: where the TCP header begins
    step(kLoadByte, 13),
    step(BPF_ALU | BPF_AND | BPF_K, kSynAndAck),
    branch(26, BPF_JEQ, kSyn, kPass, kDrop),
    step(BPF_RET | BPF_K, kMaxOpeningBytes),
    step(BPF_RET | BPF_K, 0),
};

constexpr auto kMark = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_MARK);
constexpr std::uint32_t kWholeFrame = 0xffffffff;
constexpr std::array<sock_filter, 7> kOnceProgram{
    step(BPF_LD | BPF_W | BPF_ABS, kDirection),
    branch(1, BPF_JEQ, PACKET_OUTGOING, 5, 2),
    step(BPF_LD | BPF_W | BPF_ABS, kMark),
    step(BPF_ALU | BPF_AND | BPF_K, kHoldMarkMask),
    branch(4, BPF_JEQ, kReleasedMark, 6, 5),
    step(BPF_RET | BPF_K, kWholeFrame),
    step(BPF_RET | BPF_K, 0),
};

Result<void> attach_locked(const Fd &packet_socket, std::span<sock_filter> program) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  const int locked = 1;
  if (::setsockopt(packet_socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) !=
          0 ||
      ::setsockopt(packet_socket.get(), SOL_SOCKET, SO_LOCK_FILTER, &locked, sizeof locked) != 0) {
    return fail_errno("packet filter");
  }
  return {};
}

} // namespace

Result<void> pass_openings_only(const Fd &packet_socket) {
  auto program = kProgram; // the interface takes no const
  return attach_locked(packet_socket, program);
}

Result<void> pass_each_once(const Fd &packet_socket) {
  auto program = kOnceProgram;
  return attach_locked(packet_socket, program);
}

} // namespace outguard::hypervisor
