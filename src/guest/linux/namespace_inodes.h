#pragma once
// struct net -> inode of the network namespace, each read once a walk.

#include <cstdint>
#include <map>
#include <optional>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"

namespace outguard::guest {

class NamespaceInodes {
public:
  explicit NamespaceInodes(const LinuxLayout &layout) : layout_(layout) {}

  [[nodiscard]] std::optional<std::uint64_t> of_net(GuestVirtual net, KernelReader &reader);

private:
  const LinuxLayout &layout_;
  std::map<GuestVirtual, std::optional<std::uint64_t>> inodes_; ///< ordered: keys are the guest's
};

} // namespace outguard::guest
