#pragma once
// One capture through the packet path, and what it shows, under the names that observables.tsv has.

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "guest/packets/pipeline_counters.h"

namespace outguard::truth {

/// By kind: "dns-query", "dns-a", "dns-aaaa", "http-host", "http-uri", "tls-sni", "ja3",
/// "community-id".
using Shown = std::map<std::string, std::set<std::string>>;

struct Replayed {
  Shown shown;
  guest::PipelineCounters counters;
  std::string problem; ///< of the file
};

[[nodiscard]] Replayed replay(const std::filesystem::path &capture);

/// What tshark calls it, in the form that `replay` uses. Bytes that cannot be printed are written
/// differently by everybody: they count as one "?" for a run of them.
[[nodiscard]] std::string in_our_form(const std::string &kind, std::string value);

} // namespace outguard::truth
