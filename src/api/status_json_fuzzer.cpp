// Any local program may connect; who is not root is turned away, but nothing rests on that alone.
#include <cstdlib>
#include <span>

#include "api/status_json.h"

using namespace outguard;

namespace {

std::vector<std::uint8_t> bytes_of(const std::string &text) {
  return {text.begin(), text.end()};
}

} // namespace

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  api::SupervisorStatus status;
  status.started = wall_now();
  status.intelligence.types = {{"address", 1}};
  status.intelligence.sources.resize(1);
  status.intelligence.feeds.resize(1);
  status.guards.resize(1);
  return {bytes_of(api::request_line({"status"})), bytes_of(api::refusal_line("no")),
          bytes_of(api::answer_line(status))};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string text(reinterpret_cast<const char *>(data), size);
  static_cast<void>(api::parse_request(text));
  // What was understood must survive being said again.
  if (const auto status = api::parse_status(text)) {
    const auto line = api::answer_line(*status);
    const auto again = api::parse_status(line);
    if (!again || api::answer_line(*again) != line) {
      std::abort();
    }
  }
  return 0;
}
