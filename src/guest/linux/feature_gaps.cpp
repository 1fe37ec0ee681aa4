#include "guest/linux/feature_gaps.h"

#include "guest/linux/cgroup_reader.h"
#include "guest/linux/credentials_reader.h"
#include "guest/linux/cross_views.h"
#include "guest/linux/executable_reader.h"
#include "guest/linux/held_sockets.h"
#include "guest/linux/kernel_integrity.h"
#include "guest/linux/memory_map_walker.h"
#include "guest/linux/namespace_reader.h"
#include "guest/linux/other_sockets.h"
#include "guest/linux/page_cache_reader.h"

namespace outguard::guest {
namespace {

class Gaps {
public:
  /// `missing` is empty where nothing is.
  void add(const std::string &feature, const std::string &missing) {
    if (!missing.empty()) {
      found.push_back(feature + ": the kernel lacks " + missing);
    }
  }
  template <class Layout>
  void add(const std::string &feature, const tl::expected<Layout, std::string> &layout) {
    add(feature, layout ? std::string() : layout.error());
  }
  void add(const std::vector<std::string> &gaps) {
    found.insert(found.end(), gaps.begin(), gaps.end());
  }

  std::vector<std::string> found;
};

std::string missing_of_task(const TypeTable &types, const char *member) {
  return types.member("task_struct", member) ? "" : std::string("task_struct.") + member;
}

} // namespace

std::vector<std::string> feature_gaps(const TypeTable &types, const SymbolTable &symbols,
                                      const LinuxLayout &layout) {
  Gaps gaps;
  gaps.add("credentials", CredentialsReader(types).missing());
  gaps.add("cgroups", CgroupReader(types).missing());
  gaps.add("cgroups", missing_of_task(types, "cgroups"));
  gaps.add("pids in namespaces", NamespaceReader(types).missing());
  gaps.add("pids in namespaces", missing_of_task(types, "thread_pid"));
  gaps.add("maps", MemoryMapLayout::bind(types, symbols));
  gaps.add("hashes", PageCacheLayout::bind(types, symbols));
  gaps.add("hashes", ExecutableLayout::bind(types));
  gaps.add(HoldingLayout::bind(types).lacking);
  gaps.add(OtherSocketReader(layout, types).lacking());
  gaps.add("which IPv6 sockets serve IPv4",
           layout.socket.ipv6_only ? "" : "sock_common.skc_ipv6only");
  gaps.add(CrossViews(types, symbols, GuestVirtual()).lacking());
  gaps.add("integrity", KernelIntegrity(types, symbols).can_check() ? "" : "_stext or _etext");
  return std::move(gaps.found);
}

} // namespace outguard::guest
