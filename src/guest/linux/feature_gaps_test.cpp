#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::Not;

std::vector<std::string> gaps_of(LinuxImage &image) {
  return LinuxGuest::attach(image.kernel())->gaps();
}

TEST(FeatureGaps, NameWhatTheKernelLacks) {
  LinuxImage whole;
  const auto is_told = [&](LinuxImage &image, const char *gap) {
    EXPECT_THAT(gaps_of(image), Contains(gap));
  };
  const char *const gap = "credentials: the kernel lacks cred.cap_bset";
  EXPECT_THAT(gaps_of(whole), Not(Contains(gap)));
  LinuxImage image;
  image.types().remove_member("cred", "cap_bset");
  image.types().remove_member("cgroup", "kn");
  image.types().remove_member("upid", "nr");
  image.types().remove_member("task_struct", "cgroups");
  image.types().remove_member("sock_common", "skc_ipv6only");
  is_told(image, gap);
  is_told(image, "cgroups: the kernel lacks cgroup.kn");
  is_told(image, "cgroups: the kernel lacks task_struct.cgroups");
  is_told(image, "pids in namespaces: the kernel lacks upid.nr");
  is_told(image, "which IPv6 sockets serve IPv4: the kernel lacks sock_common.skc_ipv6only");
  is_told(image, "integrity: the kernel lacks _stext or _etext");
  is_told(image, "cgroup: the kernel lacks css_set_table"); // a view
}

} // namespace
} // namespace outguard::guest
