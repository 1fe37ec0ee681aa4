#pragma once
// Sockets that are in none of the IP tables: unix, netlink, packet, vsock, MPTCP, and of any other
// family what all sockets have in common. OtherSocketTables finds them in the kernel's own tables,
// also those that no process holds; OtherSocketReader describes one. Each family's members are
// bound by themselves: a kernel that lacks them loses that family's addresses, or its table.

#include <optional>
#include <string>
#include <vector>

#include "facts/socket_seen.h"
#include "guest/linux/completeness.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/sock.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

struct OtherSocket {
  OtherSocketSeen seen; ///< without owners, inode and namespace
  GuestVirtual net;
  GuestVirtual socket; ///< struct socket, null while no file stands for it
};

class OtherSocketReader {
public:
  OtherSocketReader(const LinuxLayout &layout, const TypeTable &types);

  /// NotFound: an IP socket that SockReader reads.
  [[nodiscard]] Result<OtherSocket> read(GuestVirtual sock, KernelReader &reader) const;
  /// Families whose addresses this kernel's types do not tell, each with the member that it lacks.
  [[nodiscard]] const std::vector<std::string> &lacking() const { return lacking_; }

private:
  struct Unix {
    Extent sock;
    Member address, peer;
    Extent unix_address;
    Member length;
    std::uint32_t name = 0;
  };
  struct Netlink {
    Extent sock;
    Member port, group_count, groups;
  };
  struct Packet {
    Extent sock;
    Member protocol, device; ///< protocol: an EtherType, network order
    std::uint32_t device_name = 0;
  };

  [[nodiscard]] Result<OtherSocket> read_once(GuestVirtual address, KernelReader &reader) const;
  [[nodiscard]] Result<void> add_unix(GuestVirtual sock, KernelReader &reader,
                                      OtherSocketSeen &seen) const;
  [[nodiscard]] Result<void> add_netlink(GuestVirtual sock, KernelReader &reader,
                                         OtherSocketSeen &seen) const;
  [[nodiscard]] Result<void> add_packet(GuestVirtual sock, KernelReader &reader,
                                        OtherSocketSeen &seen) const;
  [[nodiscard]] Result<void> add_vsock(GuestVirtual sock, KernelReader &reader,
                                       OtherSocketSeen &seen) const;
  [[nodiscard]] Result<GuestText> unix_name(GuestVirtual address, KernelReader &reader) const;
  [[nodiscard]] Result<std::uint64_t> inode_of(GuestVirtual sock, KernelReader &reader) const;

  const LinuxLayout &layout_;
  std::uint32_t sock_size_ = 0;
  std::optional<Unix> unix_;
  std::optional<Netlink> netlink_;
  std::optional<Packet> packet_;
  std::vector<std::string> lacking_;
};

class OtherSocketTables {
public:
  OtherSocketTables(const LinuxLayout &layout, const TypeTable &types, const SymbolTable &symbols);

  /// Addresses of struct sock, sorted, each once.
  [[nodiscard]] std::vector<GuestVirtual> walk(KernelReader &reader,
                                               Completeness &completeness) const;

private:
  struct NetlinkTable {
    std::uint32_t size = 0, buckets = 0; ///< of netlink_table; where bucket_table's array begins
    Member hash;
    Extent table;
    Member count, is_nested, successor; ///< the last one's place only
    std::uint32_t node = 0;             ///< of netlink_sock
  };
  class Pass;

  const LinuxLayout &layout_;
  std::optional<GuestVirtual> namespaces_, unix_table_, netlink_tables_;
  std::optional<Member> packet_list_, unix_buckets_; ///< of struct net
  std::optional<NetlinkTable> netlink_;
};

} // namespace outguard::guest
