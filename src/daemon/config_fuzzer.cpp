// Any bytes as the daemon's configuration: taken, or refused with the file's name in front.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const int file = ::memfd_create("config", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  const auto path = "/proc/self/fd/" + std::to_string(file);
  const auto config = outguard::daemon::load_config(path);
  if (!config && !config.error().message.starts_with(path)) {
    std::abort();
  }
  ::close(file);
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view text :
       {R"(intel:
  - /etc/a
  - {path: b.csv, format: csv, allow_reserved: true}
vms: [web, db]
)",
        R"(mode: monitor
rules:
  - name: all
    types: [address, domain]
    responses: [reset, kill, {action: block_flow, ttl: 1h}]
)",
        "a: &a [x, y]\nb: [*a, *a]\nintel: *a\n", "protected_processes: [\"\\x00\", 'it''s']\n",
        "? complex\n: |\n  text\n--- !!binary aGk=\n...\n%YAML 1.2\n"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}
