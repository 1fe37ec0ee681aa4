#include "guest/linux/namespace_inodes.h"

namespace outguard::guest {

std::optional<std::uint64_t> NamespaceInodes::of_net(GuestVirtual net, KernelReader &reader) {
  if (net.is_null()) {
    return std::nullopt;
  }
  const auto [entry, is_new] = inodes_.try_emplace(net);
  if (is_new) {
    ObjectCopy copy({layout_.table.net_inode.offset,
                     layout_.table.net_inode.offset + layout_.table.net_inode.size});
    if (copy.load(reader, net)) {
      entry->second = copy.number(layout_.table.net_inode);
    }
  }
  return entry->second;
}

std::optional<std::uint64_t> NamespaceInodes::of_proxy(GuestVirtual nsproxy, KernelReader &reader) {
  if (nsproxy.is_null()) {
    return std::nullopt; // it is exiting, and has left its namespaces
  }
  const auto net = reader.pointer(nsproxy.plus_wrapping(layout_.process.nsproxy_net.offset));
  return net ? of_net(*net, reader) : std::nullopt;
}

} // namespace outguard::guest
