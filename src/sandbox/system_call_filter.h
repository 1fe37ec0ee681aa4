#pragma once
// A seccomp filter: a list of system calls and what becomes of each. Failure is sticky and told by
// load(), so that a list reads as one.

#include <cstdint>
#include <initializer_list>
#include <memory>

#include <seccomp.h>

#include "base/result.h"

namespace outguard::sandbox {

class SystemCallFilter {
public:
  /// `otherwise`: what becomes of every call that is not listed (SCMP_ACT_...).
  explicit SystemCallFilter(std::uint32_t otherwise);

  void allow(std::initializer_list<int> calls) { add(SCMP_ACT_ALLOW, calls); }
  void kill(std::initializer_list<int> calls) { add(SCMP_ACT_KILL_PROCESS, calls); }
  void add(std::uint32_t action, std::initializer_list<int> calls);
  /// Only where all `conditions` on its arguments hold.
  void allow_if(int call, std::initializer_list<scmp_arg_cmp> conditions);
  /// Memory may be mapped and protected, never made executable.
  void allow_mapping_without_execution();

  /// From now on, for this thread and what it starts.
  [[nodiscard]] Result<void> load();

private:
  std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int status_ = 0;
};

} // namespace outguard::sandbox
