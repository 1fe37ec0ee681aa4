#include "sandbox/system_call_filter.h"

#include <sys/mman.h>

namespace outguard::sandbox {

SystemCallFilter::SystemCallFilter(std::uint32_t otherwise)
    : context_(seccomp_init(otherwise), &seccomp_release), status_(context_ ? 0 : -1) {}

void SystemCallFilter::add(std::uint32_t action, std::initializer_list<int> calls) {
  for (const int call : calls) {
    status_ |= context_ ? seccomp_rule_add(context_.get(), action, call, 0) : -1;
  }
}

void SystemCallFilter::allow_if(int call, std::initializer_list<scmp_arg_cmp> conditions) {
  status_ |= context_ ? seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call,
                                               static_cast<unsigned>(conditions.size()),
                                               conditions.begin())
                      : -1;
}

void SystemCallFilter::allow_mapping_without_execution() {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    allow_if(call, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}});
  }
}

Result<void> SystemCallFilter::load() {
  if (status_ != 0 || seccomp_load(context_.get()) != 0) {
    return fail(ErrorCode::SystemFailed, "this kernel refuses the seccomp filter");
  }
  return {};
}

} // namespace outguard::sandbox
