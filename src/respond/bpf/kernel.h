#pragma once
// The little of the kernel's interface to tc programs that ours uses, by its numbers (stable: UAPI
// linux/bpf.h), so that a build needs no kernel headers. C, for clang -target bpf only.

#include "respond/bpf/tap_maps.h"

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define HOST_ORDER_16(value) __builtin_bswap16(value)
#define HOST_ORDER_32(value) __builtin_bswap32(value)

// A map's definition is its type information, as libbpf reads it.
#define MAP_NUMBER(name, value) int(*name)[value]
#define MAP_TYPE(name, type) type *name

enum { // bpf_map_type
  kMapHash = 1,
  kMapArray = 2,
  kMapPerCpuArray = 6,
  kMapLruHash = 9,
  kMapPrefixTree = 11,
};
enum { kNoPreallocation = 1, kMappable = 1 << 10 }; // BPF_F_NO_PREALLOC, _MMAPABLE
enum { kOnlyNew = 1 };                              // BPF_NOEXIST
enum { kIntoDevice = 1 };                           // BPF_F_INGRESS

enum { // TC_ACT_*; also TCX_*
  kNextFilter = -1,
  kDropPacket = 2,
};

struct __sk_buff { // its beginning
  uint32_t len;
  uint32_t pkt_type;
  uint32_t mark;
  uint32_t queue_mapping;
  uint32_t protocol;
  uint32_t vlan_present; // a tag was taken off the frame
  uint32_t vlan_tci;
};

#define ADD_ONE(number) ((void)__sync_fetch_and_add(number, 1))

// Helpers that any licence may call; the newest is of Linux 5.8, coarse_time of 5.11.
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value,
                          uint64_t flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static long (*redirect)(uint32_t device, uint64_t flags) = (void *)23;
static long (*load_bytes)(const struct __sk_buff *packet, uint32_t offset, void *to,
                          uint32_t length) = (void *)26;
static uint64_t (*boot_time)(void) = (void *)125;
static uint64_t (*coarse_time)(void) = (void *)160;
