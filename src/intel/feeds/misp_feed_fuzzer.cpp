// Feeds any bytes to the JSON reader as a MISP document or a list of records, and to what finds
// where JSON breaks.
#include "intel/feeds/feeds_fuzzing.h"
#include "intel/feeds/json_fault.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return outguard::intel::seeds_of({
      R"({"Event":{"info":"x","threat_level_id":"1","Tag":[{"name":"tlp:red"}],
         "Attribute":[{"type":"ip-dst|port","value":"45.9.20.7|443","to_ids":true}]}})",
      R"({"response":[{"Event":{"Object":[{"Attribute":[
         {"type":"domain|ip","value":"evil.com|45.9.20.7","to_ids":"1","deleted":false}]}]}}]})",
      R"({"5f2b0c1a-0000-4000-8000-00000000000a":{"timestamp":"1"}})",
      R"({"a":[1,tru]})",
      R"({"12":[{"ioc_value":"45.9.20.7:80","ioc_type":"ip:port","port":1e999,"tags":["a",1]}]})",
      "{\"cidr\":\"45.9.20.0/24\",\"sblid\":\"SBL1\"}\n{\"cidr\"\n{\"type\":\"x\"}\n",
  });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using outguard::intel::FeedFormat;
  outguard::intel::check_feed("fuzz.json", {data, size}, FeedFormat::Json);
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (outguard::intel::find_json_fault(text).value_or(0) > size) {
    std::abort();
  }
  return 0;
}
