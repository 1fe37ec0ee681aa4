#include <cstdint>
#include <string_view>
#include <vector>

#include "intel/guards/allowlist_parser.h"
#include "intel/guards/indicator_guards.h"
#include "intel/indicator_value.h"

/// The first line is an indicator to judge, the rest a warninglist; the whole is an allowlist too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace outguard::intel;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const auto end = std::min(text.find('\n'), text.size());
  IndicatorGuards guards;
  static_cast<void>(guards.add_warning_list("l", text.substr(end)));
  if (const auto indicator = parse_indicator(text.substr(0, end), ReservedPolicy::Allow)) {
    static_cast<void>(guards.judge(*indicator));
  }
  static_cast<void>(parse_allowlist("a", {data, size}, 1'700'000'000,
                                    [](const auto &, auto) { return Taken::Accepted; }));
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view text :
       {"x.big.com\n{\"name\": \"n\", \"type\": \"hostname\", \"list\": [\"big.com\", \".a.b\"]}",
        "8.8.8.8\n{\"name\": \"n\", \"type\": \"cidr\", \"list\": [\"8.8.0.0/16\", \"::/3\"]}",
        "http://a.com/%41/../b\n{\"type\": \"regex\", \"list\": [\"/a+b/i\", \"(x)\\\\1\"]}",
        R"(a.com
{"type": "substring", "matching_attributes": ["domain"], "list": ["a"]})",
        "a.com until=2030-01-01 # why\n10.0.0.0/8 until=x\nb\xc3\xbc.com\n*.co.uk\na.com/x/*\n"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}
