#pragma once
// One flow -> the socks that stand for it, out of the buckets of the kernel's tables where they
// must lie, in every network namespace. Borrows the layout; owns what it has learned about this
// kernel's hashes. One thread at a time.
//
// A bucket is computed as the kernel does (flow_hash.h). Whether this kernel does so is not
// assumed: every whole table is a sample, and a table in which a sample was not found is never
// asked again.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/linux/flow_hash.h"
#include "guest/linux/sock.h"
#include "guest/linux/socket_walker.h"
#include "guest/symbols/symbol_table.h"
#include "guest/symbols/type_table.h"

namespace outguard::guest {

class FlowSockets {
public:
  /// A kernel that lacks a symbol or member of the hashes is attached to all the same; find() then
  /// leaves its flows to the whole table.
  FlowSockets(const LinuxLayout &layout, const TypeTable &types, const SymbolTable &symbols);

  /// The socks that a whole table would have for this flow: those connected so or, where no process
  /// holds one, those bound to its local end. nullopt: only a whole table can tell.
  [[nodiscard]] std::optional<std::vector<Sock>> find(const FlowTuple &flow,
                                                      KernelReader &reader) const;
  /// Looks up some of what a whole table found.
  void check(std::span<const SocketRow> rows, KernelReader &reader);

private:
  enum class Kind : std::uint8_t { EstablishedV4, EstablishedV6, Listening, Udp };
  static constexpr std::size_t kKinds = 4;
  struct Net {
    GuestVirtual tcp, udp; ///< this namespace's tables
    std::uint32_t mix = 0;
  };
  using Nets = std::vector<Net>;
  class Gather;

  [[nodiscard]] std::optional<Nets> namespaces(KernelReader &reader) const;
  [[nodiscard]] bool gather(Kind kind, const FlowTuple &flow, Gather &into) const;
  [[nodiscard]] static Kind kind_of(const FlowTuple &flow, bool is_connected);
  [[nodiscard]] bool is_trusted(Kind kind) const {
    const auto &tried = trials_[static_cast<std::size_t>(kind)];
    return tried.found != 0 && tried.missed == 0;
  }
  void read_secrets(KernelReader &reader);

  const LinuxLayout &layout_;
  Extent net_extent_;
  std::optional<Member> mix_; ///< of struct net
  std::optional<GuestVirtual> tcp_, udp_, init_net_, namespace_list_, raw_v4_, raw_v6_;
  std::array<std::optional<GuestVirtual>, 3> secret_places_; ///< as in HashSecrets
  HashSecrets secrets_;
  struct Trials {
    std::uint32_t found = 0;
    std::uint32_t missed = 0;
  };
  std::array<Trials, kKinds> trials_{};
};

} // namespace outguard::guest
