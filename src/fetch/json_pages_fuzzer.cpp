// Feeds any bytes to the readers of pages and to the reader of last good copies; what they hand out
// must be one line each, and read again as it stands.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "fetch/item_list.h"
#include "fetch/json_pages.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr std::string_view kTexts[] = {
      R"({"more":true,"next":"a","objects":[{"id":"x","n":[1,2.5,null,"\n"]},{}]})",
      R"({"Event":{"uuid":"u","Attribute":[{"value":"1.2.3.4","to_ids":true}]}})",
      R"({"00000000-0000-4000-8000-00000000000A":{"timestamp":"17"},"x":{"timestamp":1}})",
      "{\"objects\":[\n{\"a\":1},\n{\"b\":2}\n]}\n",
      "[\n{\"uuid\":\"x\"}\n]\n",
  };
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto text : kTexts) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace outguard::fetch;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const auto check = [](std::string_view item) {
    const auto again = read_taxii_page("{\"objects\":[" + std::string(item) + "]}",
                                       [&](std::string_view same) { return same == item; });
    if (item.find('\n') != item.npos || !again || again->stopped || again->objects != 1) {
      std::abort();
    }
    return true;
  };
  static_cast<void>(read_taxii_page(text, check));
  if (const auto event = read_misp_event(text)) {
    check(*event);
  }
  if (const auto manifest = read_misp_manifest(text)) {
    for (const auto &event : manifest->events) {
      if (!is_uuid(event.uuid)) {
        std::abort();
      }
    }
  }
  for (const auto frame : {kTaxiiFrame, kMispFrame}) {
    ItemReader reader(text, frame);
    while (!reader.next().empty()) {
    }
  }
  return 0;
}
