// outguard-sensor ROLE: started by outguardd and outguard only, with its control socket as
// descriptor 3.
#include <cstdio>
#include <cstring>

#include "facts/messages.h"
#include "guest/linux/file_digests.h"
#include "guest/protocols/digest.h"
#include "guest/protocols/quic_opener.h"
#include "sensor/evidence_packer.h"
#include "sensor/intel_service.h"
#include "sensor/request_loop.h"
#include "sensor/sandbox.h"
#include "sensor/short_slices.h"

int main(int argc, char **argv) {
  using namespace outguard;
  constexpr int kControl = 3;
  const bool holds = argc == 2 && std::strcmp(argv[1], "guard-hold") == 0;
  const bool guards = holds || (argc == 2 && std::strcmp(argv[1], "guard") == 0);
  const bool compiles = argc == 2 && std::strcmp(argv[1], "compile-intel") == 0;
  const bool packs = argc == 2 && std::strcmp(argv[1], "pack-evidence") == 0;
  if (!guards && !compiles && !packs) {
    std::fputs("outguard-sensor is started by outguardd and outguard, not by hand\n", stderr);
    return 2;
  }
  if (guards) {
    static_cast<void>(sensor::ask_for_short_slices()); // without them it is only slower at times
    guest::FileDigests::prepare(); // may open files, which nothing can once the sandbox is entered
    guest::prepare_digests();
    guest::QuicOpener::prepare();
  }
  if (packs) {
    guest::prepare_digests();
  }
  MessageSocket control{Fd(kControl)};
  sensor::HoldSlots held;
  if (holds) {
    auto received = sandbox::close_all_but(kControl).and_then(
        [&] { return sensor::HoldSlots::receive(control); });
    if (!received) {
      std::fprintf(stderr, "outguard-sensor: %s\n", received.error().message.c_str());
      return 1;
    }
    held = std::move(*received);
  }
  const auto gaps = sensor::enter_sandbox(guards     ? sensor::Role::Guard
                                          : compiles ? sensor::Role::CompileIntel
                                                     : sensor::Role::PackEvidence,
                                          kControl, held);
  if (!gaps) {
    std::fprintf(stderr, "outguard-sensor: no sandbox, so nothing is read: %s\n",
                 gaps.error().message.c_str());
    return 1;
  }
  if (!gaps->empty() &&
      !control.send(encode(ReportEnvelope{0, SandboxSeen{*gaps}}), {}, std::chrono::seconds(1))) {
    return 1;
  }
  if (guards) {
    sensor::RequestLoop(std::move(control), held).run();
  } else if (compiles) {
    sensor::run_intel_service(std::move(control));
  } else {
    sensor::run_evidence_packer(std::move(control));
  }
  return 0;
}
