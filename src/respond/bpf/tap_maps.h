#pragma once
// What the tap's filter in the kernel and the responder share: the maps' keys and values. C, since
// the filter is. Any change of these or of a map's size is another kTapLayout: what is pinned by an
// older build is then put aside, not misread. Times: ns of CLOCK_BOOTTIME, as a time to live is a
// promise about the operator's clock, and monotonic time stands still while a host sleeps. Ports in
// host order, addresses as base/ip_address.h has them (IPv4 in the first four bytes).

#ifdef __cplusplus
#include <cstdint>
namespace outguard::respond::tap {
#else
#include <stdint.h>
#endif

enum TapLimit {
  kTapLayout = 1,
  kMostFlows = 16384, // 256 KiB of buckets a tap; entries are allocated as they come
  kMostRemotes = 16384,
  kMostPorts = 1024,
  kMostAllowedEntries = 512, // two generations of facts' kMostAllowed
  kMostFragments = 1024,
};

// Bits of TapSettings.kinds: a kind without a rule costs no look-up.
enum TapKind {
  kHasFlows = 1,
  kHasRemotes = 2,
  kHasPorts = 4,
  kHasIsolation = 8,
};

struct TapSettings {
  uint32_t kinds;
  uint32_t generation; // of the allowed networks that count; 24 bits
  uint64_t last_until; // the longest-lived rule's
  uint64_t isolated_until;
  uint64_t reserved[5]; // zero; for holding first packets: mode, device, time limit
};

struct TapFlow {
  uint8_t family; // 4 or 6
  uint8_t protocol;
  uint16_t local_port;
  uint16_t remote_port;
  uint16_t zero;
  uint8_t local[16];
  uint8_t remote[16];
};

// A prefix tree's key. The 32 bits of `kind` belong to the prefix: prefix_length is 32 more than
// the network's.
struct TapNetwork {
  uint32_t prefix_length;
  uint8_t kind[4]; // family, then for allowed networks the generation, little-endian
  uint8_t address[16];
};

struct TapRemote {
  uint64_t until;
  uint32_t prefix_length; // of the key: a longer network that expired must not hide a shorter one
  uint32_t zero;
};

struct TapPort {
  uint8_t protocol;
  uint8_t zero;
  uint16_t port;
};

struct TapPortUntil {
  uint64_t until[3]; // inbound, outbound, both: each a rule
};

struct TapFragment {
  uint8_t family;
  uint8_t protocol;
  uint16_t zero;
  uint32_t id;
  uint8_t local[16];
  uint8_t remote[16];
};

// Index of the per-CPU counters of dropped packets.
enum TapDrop {
  kDropFlow,
  kDropRemote,
  kDropPort,
  kDropIsolation,
  kDropUnreadable,
  kDropKinds,
};

#ifdef __cplusplus
} // namespace outguard::respond::tap
#endif
