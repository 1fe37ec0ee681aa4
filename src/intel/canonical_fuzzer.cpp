// The canonical forms of names and URLs: bounded, and the same again when read once more, or an
// indicator would never meet what is observed.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "intel/domain_name.h"
#include "intel/idna.h"
#include "intel/observed_url.h"
#include "intel/url.h"

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr std::string_view kTexts[] = {"Bücher.Example.",
                                         "xn--bcher-kva.example",
                                         "http://u@EVIL.com:80/a/%41/../b?c#d",
                                         "https://[2606:4700::1]:8443",
                                         "http://evil.example/a/b.php?id=1",
                                         "faß.de",
                                         "1.2.3.4/x"};
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto text : kTexts) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace outguard::intel;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (const auto name = normalise_domain(text)) {
    const auto again = normalise_domain(*name);
    if (name->size() > kMaxNameBytes || !again || *again != *name) {
      std::abort();
    }
    static_cast<void>(to_u_labels(*name));
  }
  static_cast<void>(to_a_labels(text));
  static_cast<void>(to_u_labels(text));
  static_cast<void>(behind_escapes(text));
  if (const auto target = canonical_target(text); target && canonical_target(*target) != target) {
    std::abort();
  }
  if (const auto url = Url::parse(text)) {
    const auto canonical = url->to_string();
    const auto again = Url::parse(canonical);
    const bool fits = canonical.size() <= kMaxUrlBytes; // escapes make it longer
    if (fits && (!again || again->to_string() != canonical)) {
      std::abort();
    }
    static_cast<void>(url->without_scheme());
  }
  const ObservedUrl observed(text);
  const auto parsed = Url::parse(text, UrlOrigin::Observed);
  if (observed.whole()[1] != (parsed ? parsed->without_scheme() : "") ||
      observed.target() != (parsed ? parsed->target : observed_target(text))) {
    std::abort(); // a URL taken as it stands is not what the long way makes of it
  }
  return 0;
}
