// The fetcher shares its user, nobody, with sensors: taken over, it must not reach them.
#include <csignal>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "fetch/sandbox.h"

namespace outguard::fetch {
namespace {

/// In the sandbox: which of the calls that would reach `other` went through, and whether its own
/// work is still possible.
int reach(pid_t other) {
  if (!enter_sandbox(3)) {
    return 100;
  }
  rlimit limit{};
  const pid_t self = ::getpid();
  const bool works = ::syscall(SYS_tgkill, self, self, 0) == 0 &&
                     ::getrlimit(RLIMIT_CPU, &limit) == 0 && ::fcntl(0, F_GETFL) >= 0;
  const bool signals = ::syscall(SYS_tgkill, other, other, 0) == 0;
  const bool limits = ::syscall(SYS_prlimit64, other, RLIMIT_CPU, &limit, nullptr) == 0;
  const bool owns = ::fcntl(0, F_SETOWN, other) == 0;
  return (works ? 0 : 8) + (signals ? 4 : 0) + (limits ? 2 : 0) + (owns ? 1 : 0);
}

TEST(Sandbox, ReachesNoOtherProcessOfItsUser) {
  if (kSanitized) {
    GTEST_SKIP() << "sanitizers need system calls that the sandbox forbids";
  }
  const pid_t other = ::fork();
  if (other == 0) {
    const bool same = ::geteuid() != 0 || (::setresgid(65534, 65534, 65534) == 0 &&
                                           ::setresuid(65534, 65534, 65534) == 0);
    if (!same) {
      ::_exit(1);
    }
    while (true) {
      ::pause();
    }
  }
  ASSERT_GT(other, 0);
  const pid_t fetcher = ::fork();
  if (fetcher == 0) {
    ::_exit(reach(other));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(fetcher, &status, 0), fetcher);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ASSERT_EQ(::kill(other, SIGKILL), 0);
  EXPECT_EQ(::waitpid(other, nullptr, 0), other);
}

} // namespace
} // namespace outguard::fetch
