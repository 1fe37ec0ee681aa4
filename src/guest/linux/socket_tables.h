#pragma once
// All sockets that the kernel's own hash tables hold, in every network namespace: TCP (with
// TIME_WAIT and half-open), UDP, UDP-Lite, raw and ping. No owners: those come from the
// descriptors. Borrows layout and symbols.

#include <map>
#include <optional>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/sock.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class SocketTables {
public:
  SocketTables(const LinuxLayout &layout, const SymbolTable &symbols);

  /// Sorted by address, each once.
  [[nodiscard]] std::vector<Sock> walk(KernelReader &reader, Completeness &completeness) const;

private:
  /// An array of chain heads in guest memory.
  struct Buckets {
    GuestVirtual first;
    std::uint64_t count = 0;
    std::uint32_t stride = 8; ///< bytes from one to the next
    std::uint32_t head = 0;   ///< offset of the chain's head in a bucket
  };
  class Pass;

  void find_namespaces(Pass &pass) const;
  void find_tcp(GuestVirtual hashinfo, Pass &pass) const;
  void find_udp(GuestVirtual table, Pass &pass) const;

  const LinuxLayout &layout_;
  std::optional<GuestVirtual> init_net_, namespace_list_, tcp_, udp_, udplite_, ping_;
  std::optional<GuestVirtual> raw_v4_, raw_v6_;
};

} // namespace outguard::guest
