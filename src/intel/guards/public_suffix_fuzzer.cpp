// Any bytes as a name, as it stands and in canonical form: what the list says of a suffix and of
// the domain registered under it agrees, and the filter before libpsl holds no suffix back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <libpsl.h>

#include "intel/domain_name.h"
#include "intel/guards/public_suffix.h"

namespace {

void look_at(const std::string &name) {
  using namespace outguard::intel;
  const bool is_suffix = is_public_suffix(name);
  if (is_suffix != (psl_is_public_suffix(psl_builtin(), name.c_str()) != 0)) {
    std::abort();
  }
  const auto domain = registrable_domain(name);
  if (domain && (is_suffix || !std::string_view(name).ends_with(*domain))) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string name(reinterpret_cast<const char *>(data), size);
  static_cast<void>(outguard::intel::is_public_suffix(name)); // whatever libpsl makes of it
  static_cast<void>(outguard::intel::registrable_domain(name));
  if (const auto canonical = outguard::intel::normalise_domain(name)) {
    look_at(*canonical);
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view text : {"a.b.fkl.co.ke", "c.kobe.jp", "city.kobe.jp", "github.io",
                                      "xn--55qx5d.cn", "b\303\274cher.de", "..", "a..b.", ".com"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}
