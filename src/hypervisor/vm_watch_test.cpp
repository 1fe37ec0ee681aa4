#include <algorithm>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "hypervisor/child_process.h"
#include "hypervisor/vm_finder.h"
#include "hypervisor/vm_watch.h"

namespace outguard::hypervisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

TEST(VmWatch, SeesVmsComeAndGo) {
  VmWatch watch;
  (void)watch.next(0ms); // those that run already
  Child child(named_like_qemu("watched"), "/", "sh");
  const pid_t pid = child.pid();
  const auto heard = [&](VmChange::Kind kind) {
    return eventually([&] {
      const auto changes = watch.next(20ms);
      return changes && std::any_of(changes->begin(), changes->end(), [&](const VmChange &change) {
               return change.kind == kind && change.vm.pid == pid;
             });
    });
  };
  EXPECT_TRUE(heard(VmChange::Kind::Appeared));
  child.end();
  EXPECT_TRUE(heard(VmChange::Kind::Disappeared));
}

/// What a look finds is to order; the process is real.
class WatchedChild : public testing::Test {
protected:
  WatchedChild() {
    EXPECT_TRUE(eventually([&] {
      const auto vm = inspect_qemu(child_.pid());
      found_ = {vm.value_or(VmFound{})};
      return vm.has_value();
    }));
  }
  /// The kinds of one look's changes.
  static std::vector<VmChange::Kind> look_with(VmWatch &watch) {
    std::this_thread::sleep_for(VmWatch::kInterval);
    const auto changes = watch.next(0ms);
    EXPECT_TRUE(changes);
    std::vector<VmChange::Kind> kinds;
    for (const auto &change : changes.value_or(std::vector<VmChange>{})) {
      kinds.push_back(change.kind);
    }
    return kinds;
  }
  std::vector<VmChange::Kind> look() { return look_with(watch_); }

  Child child_{named_like_qemu("watched"), "/", "sh"};
  std::vector<VmFound> found_;
  VmWatch watch_{[this]() -> Result<std::vector<VmFound>> { return found_; }};
};

TEST_F(WatchedChild, StaysUntilItsProcessEnds) {
  EXPECT_THAT(look(), ElementsAre(VmChange::Kind::Appeared));
  const auto vms = std::exchange(found_, {});
  EXPECT_THAT(look(), IsEmpty()) << "a look that failed to see it";
  found_ = vms;
  EXPECT_THAT(look(), IsEmpty()) << "and one that saw it again";
  found_.clear();
  child_.end();
  EXPECT_THAT(look(), ElementsAre(VmChange::Kind::Disappeared));
}

TEST_F(WatchedChild, OnlyTapsAndTheQmpPathAreAChange) {
  EXPECT_THAT(look(), ElementsAre(VmChange::Kind::Appeared));
  found_[0].gaps.emplace_back("another text");
  EXPECT_THAT(look(), IsEmpty());
  found_[0].taps.push_back({"tap9", 1, 9});
  EXPECT_THAT(look(), ElementsAre(VmChange::Kind::Changed));
  found_[0].qmp_path = "/q";
  EXPECT_THAT(look(), ElementsAre(VmChange::Kind::Changed));
}

TEST_F(WatchedChild, AnEarlierProcessOfThatNumberIsNotIt) {
  found_[0].start_time -= 1;
  EXPECT_THAT(look(), IsEmpty());
}

TEST_F(WatchedChild, IsThereWithoutAPidfd) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  VmWatch &watch = watch_; // UBSan looks at objects through a pipe, which is not possible meanwhile
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto kinds = look_with(watch);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(kinds, ElementsAre(VmChange::Kind::Appeared));
  EXPECT_THAT(look(), IsEmpty());
  child_.end();
  EXPECT_THAT(look(), ElementsAre(VmChange::Kind::Disappeared));
}

} // namespace
} // namespace outguard::hypervisor
