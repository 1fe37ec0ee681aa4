#include "respond/tap_leftovers.h"

#include "respond/nft_filter.h"
#include "respond/tc_filter.h"

namespace outguard::respond {

Result<void> remove_leftovers(const Fd &netns, const std::string &bpffs) {
  TapProgram::remove_dead(netns, bpffs);
  return NftFilter::remove_dead(netns);
}

Result<void> sweep_tap(const Fd &netns, const std::string &tap, const std::string &bpffs) {
  const auto filter = TcFilter::find(netns, tap, bpffs); // nftables sweeps by itself
  if (!filter) {
    return tl::unexpected(filter.error());
  }
  return *filter ? (*filter)->sweep() : Result<void>();
}

} // namespace outguard::respond
