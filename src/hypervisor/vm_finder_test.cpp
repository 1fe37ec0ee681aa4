// Against real processes: a shell named like QEMU. Parts that need root are skipped loudly.
#include <algorithm>

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>

#include "hypervisor/child_process.h"
#include "hypervisor/memory_opener.h"
#include "hypervisor/vm_finder.h"

namespace outguard::hypervisor {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(VmFinder, FindsByProgramNameAndSaysWhatIsMissing) {
  const Child child(named_like_qemu("fake"), "/", "sh");
  ASSERT_TRUE(eventually([&] { return inspect_qemu(child.pid()).has_value(); }));
  const auto vm = inspect_qemu(child.pid());
  EXPECT_EQ(vm->name, "fake");
  EXPECT_THAT(vm->gaps, Contains(HasSubstr("no QMP socket")));
  EXPECT_THAT(vm->gaps, Contains(HasSubstr("no UUID")));
  EXPECT_THAT(vm->gaps, Contains(HasSubstr("no tap")));
  EXPECT_FALSE(vm->key().empty());
  EXPECT_EQ(open_memory(*vm).error().code, ErrorCode::Unsupported);
}

TEST(VmFinder, WithoutRootVmsOfOthersAreThereWithTheirGaps) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "SKIPPED: needs root to give it up";
  }
  const Child qemu(named_like_qemu("of-root"), "/", "sh");
  ASSERT_TRUE(eventually([&] { return inspect_qemu(qemu.pid()).has_value(); }));
  const pid_t nobody = ::fork();
  if (nobody == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0) {
      ::_exit(1);
    }
    const auto vms = find_vms();
    const auto vm = vms ? choose_vm("of-root", *vms) : tl::unexpected(vms.error());
    if (!vm || vm->pid != qemu.pid()) {
      ::_exit(2);
    }
    const auto has = [&](const char *text) {
      return std::any_of(vm->gaps.begin(), vm->gaps.end(), [&](const std::string &gap) {
        return gap.find(text) != std::string::npos;
      });
    };
    ::_exit(!has("needs root") || !has("taps not found") ? 3 : has("no tap:") ? 4 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(nobody, &status, 0), nobody);
  EXPECT_EQ(WEXITSTATUS(status), 0)
      << "2: not found, 3: a gap is missing, 4: claims what it cannot";
}

TEST(VmFinder, OtherProcessesAreNoVms) {
  EXPECT_EQ(inspect_qemu(::getpid()).error().code, ErrorCode::NotFound);
  EXPECT_EQ(inspect_qemu(2'000'000'000).error().code, ErrorCode::NotFound);
}

TEST(VmFinder, AnAmbiguousNameIsAnErrorThatListsAll) {
  VmFound one;
  one.pid = 10;
  one.name = "web";
  VmFound two = one;
  two.pid = 11;
  two.uuid = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
  const auto both = choose_vm("web", {one, two});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, ErrorCode::InvalidInput);
  EXPECT_THAT(both.error().message, HasSubstr("pid:10"));
  EXPECT_THAT(both.error().message, HasSubstr("pid:11 (6f9619ff"));
  EXPECT_EQ(choose_vm(two.uuid, {one, two})->pid, 11);
  EXPECT_EQ(choose_vm("x\x1b[31m", {one}).error().code, ErrorCode::NotFound);
  EXPECT_THAT(choose_vm("x\x1b[31m", {one}).error().message, HasSubstr("\\x1b"));
}

TEST(VmFinder, BadTargets) {
  EXPECT_EQ(resolve_target("pid:12x").error().code, ErrorCode::InvalidInput);
  EXPECT_EQ(resolve_target("pid:-1").error().code, ErrorCode::InvalidInput);
  EXPECT_EQ(resolve_target("qmp:/nonexistent").error().code, ErrorCode::NotFound);
}

} // namespace
} // namespace outguard::hypervisor
