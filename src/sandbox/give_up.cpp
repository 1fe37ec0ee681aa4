#include "sandbox/give_up.h"

#include <cerrno>

#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace outguard::sandbox {

namespace {

constexpr unsigned kNobody = 65534;

bool allow_reading(const Fd &rules, const Fd &place) {
  struct stat about {};
  if (::fstat(place.get(), &about) != 0) {
    return false;
  }
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
  if (S_ISDIR(about.st_mode)) {
    rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
  }
  rule.parent_fd = place.get();
  return ::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

} // namespace

Result<void> close_all_but(int keep) {
  const auto low = static_cast<unsigned>(keep);
  if ((low > 3 && ::close_range(3, low - 1, 0) != 0) || ::close_range(low + 1, ~0U, 0) != 0) {
    return fail_errno("close_range");
  }
  return {};
}

Result<void> leave_terminal() {
  if (::dup2(STDIN_FILENO, STDOUT_FILENO) < 0 || ::dup2(STDIN_FILENO, STDERR_FILENO) < 0) {
    return fail_errno("dup2");
  }
  return {};
}

Result<void> set_limits(std::initializer_list<Limit> limits) {
  for (const auto &[resource, most] : limits) {
    const rlimit limit{most, most};
    if (::setrlimit(resource, &limit) != 0) {
      return fail_errno("setrlimit");
    }
  }
  return {};
}

Result<void> become_nobody(int namespaces, Gaps &gaps) {
  if (::geteuid() != 0) {
    gaps.emplace_back("not started as root: keeps the caller's user and namespaces");
    return {};
  }
  if (::unshare(namespaces) != 0) {
    gaps.emplace_back("no namespaces of its own");
  }
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    return fail_errno("setresuid to nobody");
  }
  return {};
}

Result<void> seal_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return fail_errno("prctl");
  }
  return {};
}

void leave_file_system(std::span<const Fd> readable, Gaps &gaps) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) {
    gaps.emplace_back("no Landlock in this kernel");
    return;
  }
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; // all of ABI 1
  if (abi >= 2) {
    handled.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
  }
  const Fd rules(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0)));
  bool whole = static_cast<bool>(rules);
  for (const Fd &place : readable) {
    whole = whole && allow_reading(rules, place);
  }
  if (!whole || ::syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    gaps.emplace_back("Landlock refused the ruleset");
  }
}

} // namespace outguard::sandbox
