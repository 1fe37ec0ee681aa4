#pragma once
// What the program that holds first packets and respond/hold_gate.cpp share, in C. Any change of
// these or of a map's size is another kHoldLayout. Times: ns of CLOCK_MONOTONIC, as coarse as a
// tick. The numbers of facts/hold.h stand here again, and hold_gate.cpp compares.

#include "respond/bpf/tap_maps.h"

#ifdef __cplusplus
namespace outguard::respond::tap {
#endif

enum HoldLimit {
  kHoldLayout = 1,
  // Least recently used ones make room: a flow that lost its verdict is judged anew.
  kMostVerdicts = 32768,
  // Flows that wait are kept apart: opening many costs nobody a verdict.
  kMostWaitingFlows = 4096,
  kMostHeldFragments = 1024,
};

enum HoldMark {
  kHoldMarks = 0x0dd00000,     // with HeldFlag
  kAnswerMarks = 0x0dd10000,   // with the way in bit 0 and the verdict above
  kReleasedMarks = 0x0dd20000, // with the way
};

struct HoldKernelSettings {
  uint32_t ways; // bit 0: flows that the guest opens, bit 1: that others open
  uint32_t fails_open;
  uint32_t hold_device;
  uint32_t judge_device;
  uint32_t tap_device;
  uint32_t generation; // verdicts of another one are void
  uint64_t bound;
  uint64_t allow_tcp;
  uint64_t allow_other;
  uint64_t refuse;
};

// ICMP: echoes have their identifier as local port and the request's type as remote port, all else
// its type as remote port.
struct HoldFlow {
  struct TapFlow flow;
  uint16_t tags[2]; // VLANs, outer first; ~0: none
};

struct HoldVerdictKept {
  uint64_t until;
  uint32_t generation;
  uint8_t refused;
  uint8_t opener;    // the way of its first packet
  uint8_t unsettled; // packets may be on their way through the judge: look at `waiting`
  uint8_t zero;
};

struct HoldWayWaiting {
  uint32_t held;     // steered to the judge
  uint32_t answered; // came back
  uint32_t done;     // dropped, or past the tap again: the direct path is open when all are
  uint32_t mark;     // as it was before
  uint8_t mac[6];
  uint16_t zero;
};

struct HoldWaiting {
  uint64_t last; // packet steered
  uint32_t generation;
  uint8_t opener;
  uint8_t once; // a packet was let out Once
  uint16_t zero;
  struct HoldWayWaiting ways[2];
};

struct HoldFragment {
  struct HoldFlow flow; // of the first fragment
  uint32_t zero;
  uint64_t until;
};

// Index of the per-CPU counters: facts' HoldCounts.
enum HoldCount {
  kHoldHeld,
  kHoldAllowed,
  kHoldRefused,
  kHoldRefusedAfter,
  kHoldDeadOpen,
  kHoldDeadClosed,
  kHoldFullOpen,
  kHoldFullClosed,
  kHoldCrowded,
  kHoldUnreadable,
  kHoldAstray,
  kHoldForged,
  kHoldCountKinds,
};

#ifdef __cplusplus
} // namespace outguard::respond::tap
#endif
