// QEMU's debugger stub: after an escape from the guest, QEMU is hostile too.
#include <array>
#include <cstdlib>
#include <string_view>

#include <sys/socket.h>

#include "hypervisor/gdb_remote.h"

using namespace outguard;
using namespace outguard::hypervisor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (const auto reply = parse_stop_reply(text); reply && reply->thread.size() > 32) {
    std::abort();
  }
  std::array<int, 2> ends{};
  if (size > 60'000 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return 0;
  }
  const Fd stub(ends[1]);
  (void)!::send(stub.get(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(stub.get(), SHUT_WR); // the end of all that it says: nothing waits for more
  GdbRemote remote{Fd(ends[0])};
  const auto deadline = monotonic_now() + std::chrono::seconds(1);
  (void)remote.expect_ok("a breakpoint", deadline);
  if (const auto stop = remote.wait_for_stop(deadline)) {
    (void)remote.send({gdb::choose(*stop), gdb::kRegisters});
  }
  (void)remote.registers(deadline);
  std::array<std::uint8_t, 23> code{};
  (void)remote.memory(code, deadline);
  (void)remote.expect_ok("detaching", deadline);
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  using namespace std::string_view_literals;
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view seed :
       {"$T02thread:01;#07+$T05thread:01;#0a+$OK#9a++$T05thread:02;#0b+$OK#9a+$E14#aa"sv,
        "T05thread:p01.02;"sv, "+$O6869#60$S05#b8-"sv, "$#00$OK#9b$OK#9a"sv}) {
    seeds.emplace_back(seed.begin(), seed.end());
  }
  return seeds;
}
