// outguard-fetch: started by outguardd and outguard only, with its control socket as descriptor 3.
#include <cstdio>
#include <cstring>

#include "fetch/curl_client.h"
#include "fetch/fetch_service.h"
#include "fetch/sandbox.h"

int main(int argc, char **argv) {
  using namespace outguard;
  constexpr int kControl = 3;
  if (argc != 2 || std::strcmp(argv[1], "one") != 0) {
    std::fputs("outguard-fetch is started by outguardd and outguard, not by hand\n", stderr);
    return 2;
  }
  const auto ready = fetch::prepare_curl();
  auto gaps = ready.and_then([&] { return fetch::enter_sandbox(kControl); });
  if (!gaps) {
    std::fprintf(stderr, "outguard-fetch: no sandbox, so nothing is fetched: %s\n",
                 gaps.error().message.c_str());
    return 1;
  }
  fetch::serve_one(MessageSocket(Fd(kControl)), std::move(*gaps));
  return 0;
}
