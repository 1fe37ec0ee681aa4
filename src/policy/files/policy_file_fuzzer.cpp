// Any bytes as a policy's file: taken, or refused with the file's name in front.
#include <cstdlib>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

#include "policy/files/policy_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const int file = ::memfd_create("policy", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  const auto path = "/proc/self/fd/" + std::to_string(file);
  const auto policy = outguard::policy::read_policy(path);
  if (!policy && !policy.error().message.starts_with(path)) {
    std::abort();
  }
  if (policy) {
    (void)outguard::policy::failed_tests(*policy);
  }
  ::close(file);
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (
      const std::string_view text :
      {"vm: web1\ndefault: deny\nrules:\n  - {name: web, action: [block, kill], exe: /usr/*, port: "
       "[80, 1-2], remote: 10.0.0.0/8}\ntests:\n  - {flow: 'tcp 10.0.0.1:1 <- 10.0.0.2:2', uid: 0, "
       "expect: block}\n",
       "vm: ['*']\ndefault: alert\nunknown: allow\n", "vm: &a [x]\nrules: *a\n",
       "rules: [{host: }]"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}
