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

} // namespace outguard::guest
