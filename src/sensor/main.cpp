// outguard-sensor ROLE: started by outguardd and outguard only, with its control socket as
// descriptor 3.
#include <cstdio>
#include <cstring>

#include "facts/messages.h"
#include "guest/linux/file_digests.h"
#include "guest/protocols/digest.h"
#include "guest/protocols/quic_opener.h"
#include "sensor/intel_service.h"
#include "sensor/request_loop.h"
#include "sensor/sandbox.h"
#include "sensor/short_slices.h"

int main(int argc, char **argv) {
  using namespace outguard;
  constexpr int kControl = 3;
  const bool guards = argc == 2 && std::strcmp(argv[1], "guard") == 0;
  const bool compiles = argc == 2 && std::strcmp(argv[1], "compile-intel") == 0;
  if (!guards && !compiles) {
    std::fputs("outguard-sensor is started by outguardd and outguard, not by hand\n", stderr);
    return 2;
  }
  if (guards) {
    static_cast<void>(sensor::ask_for_short_slices()); // without them it is only slower at times
    guest::FileDigests::prepare(); // may open files, which nothing can once the sandbox is entered
    guest::prepare_digests();
    guest::QuicOpener::prepare();
  }
  const auto gaps =
      sensor::enter_sandbox(guards ? sensor::Role::Guard : sensor::Role::CompileIntel, kControl);
  if (!gaps) {
    std::fprintf(stderr, "outguard-sensor: no sandbox, so nothing is read: %s\n",
                 gaps.error().message.c_str());
    return 1;
  }
  MessageSocket control{Fd(kControl)};
  if (!gaps->empty() &&
      !control.send(encode(ReportEnvelope{0, SandboxSeen{*gaps}}), {}, std::chrono::seconds(1))) {
    return 1;
  }
  if (guards) {
    sensor::RequestLoop(std::move(control)).run();
  } else {
    sensor::run_intel_service(std::move(control));
  }
  return 0;
}
