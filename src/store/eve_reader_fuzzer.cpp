// Any bytes as a line of the EVE file: a line that is safe on any terminal (base/printable.h: valid
// UTF-8 stays), or nothing.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/printable.h"
#include "store/eve_reader.h"
#include "store/recorded_flow.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const auto line = outguard::store::alert_line_from_eve(text);
  if (line && !outguard::is_printable(*line)) {
    std::abort();
  }
  const auto flow = outguard::store::recorded_flow(text);
  if (flow && flow->attribution &&
      flow->attribution->processes.size() > outguard::store::RecordedFlow::kMostProcesses + 1) {
    std::abort();
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr const char *kAlert =
      R"({"event_type":"alert","timestamp":"t","vm":{"name":"web"},"process":{"pid":1},)"
      R"("alert":{"signature":"s","context":{"indicator":{"value":"v","source":"f"}}},)"
      R"("src_ip":"10.0.0.1","src_port":1,"response":[{"action":"kill","status":"killed"}]})";
  std::vector<std::vector<std::uint8_t>> seeds;
  for (
      const std::string_view text :
      {kAlert,
       R"({"flow_id":1,"flow":{"initiator":"guest"},"proto":"TCP","src_ip":"::1","src_port":1,)"
       R"("dest_ip":"::2","dest_port":2,"attribution":{"status":"exact"},"process":{"pid":1,)"
       R"("sha256":"","ancestors":[{"pid":1,"comm":"a"}]},"processes":[{"uid":0},7]})",
       R"({"event_type":"alert","vm":[],"process":{"pid":[[[1e400]]],"comm":"\u001b\ud83d\ude00"}})",
       R"({"event_type":"alert","response":[[],{"action":{}},null,7]})", "{\"a\":\"\xc3\x28\"}",
       "{\"event_type\":\"alert\",\"src_ip\":\"\xd0\xbc\xe2\x80\xa8\x7f\"}"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}
