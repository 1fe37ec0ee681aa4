#pragma once
// Holding the first packets of a flow at a tap: what the kernel's side (respond/hold_gate.h) and
// the judge, a thread of the sandboxed sensor, agree on. A packet of a flow without a verdict
// leaves its way and comes out of the receive socket; the judge writes it back as it came into one
// of the answer sockets, and which one is the verdict. Packets of allowed flows never come here.
// The kernel trusts a judge with verdicts only: of a flow it lets out no more packets than it held,
// each from the MAC that the held ones were from.

#include <cstddef>
#include <cstdint>

namespace outguard {

enum class HoldWay : std::uint8_t { FromGuest, ToGuest };

enum class HoldVerdict : std::uint8_t {
  Allow,  ///< this packet goes, and the flow has a verdict: the kernel passes the rest
  Refuse, ///< this packet and what follows is dropped in the kernel for a while
  /// This packet goes; the next of the same way come here too (for what the first data say). The
  /// other way is free.
  Once,
  /// As the flow stands: allowed or let out once: it goes, else not. The answer to kHeldLater, and
  /// to what queued up behind a verdict.
  Follow,
};
inline constexpr std::size_t kHoldVerdicts = 4;

/// Descriptors as they are handed over, in this order. The sockets are AF_PACKET, SOCK_RAW, bound
/// and set up: a judge calls recvmsg, writev, poll, mmap (once) and nothing else on them.
enum HoldDescriptor : std::size_t {
  /// Every read: HoldHeader, then the frame from its Ethernet header on. Control messages:
  /// SOL_PACKET/PACKET_AUXDATA (tp_len; TP_STATUS_VLAN_VALID: a tag that was taken off the frame,
  /// tp_vlan_tci and tp_vlan_tpid), SOL_SOCKET/SO_MARK (u32, below). Blocks for at most a fifth of
  /// the bound, then EAGAIN.
  kHoldReceive,
  kHoldPulse, ///< to be mapped, one page, read and write, shared: struct HoldPulse
  /// HoldHeader and frame in one writev. A tag that was taken off is put back after the two
  /// addresses (and 4 added to checksum_start and header_bytes where they count).
  kHoldAnswers,
  kHoldDescriptors = kHoldAnswers + 2 * kHoldVerdicts,
};
[[nodiscard]] constexpr std::size_t answer_descriptor(HoldWay way, HoldVerdict verdict) {
  return kHoldAnswers + static_cast<std::size_t>(way) * kHoldVerdicts +
         static_cast<std::size_t>(verdict);
}

/// struct virtio_net_hdr (PACKET_VNET_HDR), host order: goes back as it came.
struct HoldHeader {
  std::uint8_t flags = 0;    ///< 1: checksum_start counts
  std::uint8_t gso_type = 0; ///< not 0: header_bytes counts
  std::uint16_t header_bytes = 0, segment_bytes = 0, checksum_start = 0, checksum_offset = 0;
};
static_assert(sizeof(HoldHeader) == 10);

/// Frames are up to 64 KiB (GSO) and an Ethernet header with two tags.
inline constexpr std::size_t kMostHeldFrame = 65536 + 14 + 8;

/// The mark of a held packet: kHeldMark and flags. Anything without kHeldMark is the host's own
/// noise on our device: to be left unanswered.
inline constexpr std::uint32_t kHoldMarkMask = 0xffff0000;
inline constexpr std::uint32_t kHeldMark = 0x0dd00000;
enum HeldFlag : std::uint32_t {
  kHeldToGuest = 1, ///< HoldWay
  kHeldLater = 2,   ///< a later fragment: no ports in it; its first one came before
  kHeldAgain = 4,   ///< of a flow of which a packet was let go Once
};
/// The mark with which a packet that was let out passes the tap again. A capture on the tap sees
/// what comes from the guest twice, first unmarked; what goes to the guest once, with this mark.
/// Whoever counts packets leaves out those from the guest (not PACKET_OUTGOING) with this mark.
inline constexpr std::uint32_t kReleasedMark = 0x0dd20000;

/// Shared with the kernel. Each word has one writer; aligned loads and stores, no order needed.
struct HoldPulse {
  /// CLOCK_MONOTONIC, ns; the judge sets it at least every fifth of the bound. Older than the
  /// bound: the judge counts as dead, and what it would have to judge fails open or closed.
  std::uint64_t beat_ns = 0;
  /// `held` as the judge read it before a read said EAGAIN: all until then is answered or lost.
  std::uint64_t drained = 0;
  std::uint64_t zero[6] = {};
  std::uint64_t held = 0;     ///< packets steered to the judge; the kernel's
  std::uint64_t answered = 0; ///< the kernel's
};
static_assert(sizeof(HoldPulse) == 80);

/// At most so many packets wait for a judge at a tap; more: full, which fails as a dead judge does.
inline constexpr std::uint32_t kMostWaitingPackets = 1024;
/// And so many of one flow; more of it are dropped.
inline constexpr std::uint32_t kMostWaitingOfFlow = 64;

/// What a VM's settings say.
struct HoldSettings {
  bool from_guest = true;               ///< flows that the guest opens are judged
  bool to_guest = false;                ///< flows that others open to it
  bool fail_open = true;                ///< else new flows are dropped while no judge is there
  std::uint64_t bound_ns = 500'000'000; ///< without a beat; 50 ms to 60 s
  std::uint64_t allow_tcp_ns = 3600'000'000'000; ///< life of a verdict; a SYN is judged anew anyway
  std::uint64_t allow_other_ns = 60'000'000'000;
  std::uint64_t refuse_ns = 10'000'000'000;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.from_guest, self.to_guest, self.fail_open, self.bound_ns, self.allow_tcp_ns,
         self.allow_other_ns, self.refuse_ns);
  }
  bool operator==(const HoldSettings &) const = default;
};

/// Packets at a tap since it holds, as the kernel counts them.
struct HoldCounts {
  std::uint64_t held = 0, allowed = 0, refused = 0; ///< steered; let out; dropped by an answer
  std::uint64_t refused_after = 0;                  ///< dropped by a verdict that was there
  std::uint64_t dead_open = 0, dead_closed = 0;     ///< passed or dropped, no judge
  std::uint64_t full_open = 0, full_closed = 0;     ///< likewise, too many waiting
  std::uint64_t crowded = 0;                        ///< dropped: too many of one flow waiting
  std::uint64_t unreadable = 0;                     ///< dropped: no telling which flow it is of
  std::uint64_t astray = 0; ///< dropped: later fragments before, or without, their first
  std::uint64_t forged = 0; ///< answers that were to no held packet: dropped

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.held, self.allowed, self.refused, self.refused_after, self.dead_open,
         self.dead_closed, self.full_open, self.full_closed, self.crowded, self.unreadable,
         self.astray, self.forged);
  }
};

} // namespace outguard
