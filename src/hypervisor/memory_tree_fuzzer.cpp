// QEMU's memory tree and maps file: after an escape from the guest, QEMU is hostile too.
#include <cstdlib>
#include <string>
#include <string_view>

#include "hypervisor/memory_opener.h"
#include "hypervisor/memory_tree.h"
#include "hypervisor/qemu_command_line.h"

using namespace outguard::hypervisor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (const auto ranges = parse_memory_tree(text)) {
    std::uint64_t end = 0;
    for (const auto &range : *ranges) {
      if (range.start < end || range.length == 0 || range.start + range.length < range.start) {
        std::abort(); // the readers of a layout rely on this
      }
      end = range.start + range.length;
    }
  }
  for (const auto &mapping : parse_mappings(text)) {
    if (mapping.end <= mapping.start) {
      std::abort();
    }
  }
  (void)parse_host_address(text);
  (void)parse_command_line(split_arguments(text));
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  using namespace std::string_view_literals;
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view seed :
       {"FlatView #1\n AS \"memory\", root: system\n Root memory region: system\n"
        "  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM\n"
        "  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\n"
        "  0000000000100000-000000007fffffff (prio 0, ram): pc.ram @0000000000100000\n"sv,
        "7f0000000000-7f0040000000 rw-s 00001000 00:01 1034 /memfd:ram (deleted)\n"
        "7f0040000000-7f0040001000 r--p 00000000 00:00 0\n"sv,
        "Host virtual address for 0x0 (pc.ram) is 0x7fae3fe00000\r\n"sv,
        "qemu-system-x86_64\0-name\0guest=a,,b\0-chardev\0socket,id=m,path=/q,server=on\0"
        "-mon\0chardev=m,mode=control\0-netdev\0tap,ifname=t0\0-m\0005G\0"sv}) {
    seeds.emplace_back(seed.begin(), seed.end());
  }
  return seeds;
}
