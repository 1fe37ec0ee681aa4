#include "respond/kernel_map.h"

#include <cerrno>

#include <bpf/bpf.h>

namespace outguard::respond {

namespace {

Result<void> outcome(int done, const char *what) {
  if (done == 0) {
    return {};
  }
  switch (errno) {
  case ENOENT:
    return fail(ErrorCode::NotFound, std::string(what) + ": not there");
  case E2BIG:  // hash
  case ENOSPC: // prefix tree
    return fail(ErrorCode::LimitReached, std::string(what) + ": the map is full");
  default:
    return fail_errno(what);
  }
}

} // namespace

Result<void> read_map(const Fd &map, const void *key, void *value) {
  return outcome(::bpf_map_lookup_elem(map.get(), key, value), "read an eBPF map");
}

Result<void> write_map(const Fd &map, const void *key, const void *value) {
  return outcome(::bpf_map_update_elem(map.get(), key, value, BPF_ANY), "write an eBPF map");
}

Result<void> erase_from_map(const Fd &map, const void *key) {
  return outcome(::bpf_map_delete_elem(map.get(), key), "erase from an eBPF map");
}

Result<void> next_in_map(const Fd &map, const void *key, void *next) {
  return outcome(::bpf_map_get_next_key(map.get(), key, next), "list an eBPF map");
}

} // namespace outguard::respond
