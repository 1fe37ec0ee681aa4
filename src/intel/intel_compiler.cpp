#include "intel/intel_compiler.h"

#include "base/clock.h"

namespace outguard::intel {

namespace {

Taken taken(IndexBuilder::Added added) {
  switch (added) {
  case IndexBuilder::Added::New:
  case IndexBuilder::Added::Merged:
    return Taken::Accepted;
  case IndexBuilder::Added::Duplicate:
    return Taken::Duplicate;
  case IndexBuilder::Added::Full:
    return Taken::Full;
  }
  return Taken::Full;
}

} // namespace

std::optional<FeedSink> IntelCompiler::add_source(const std::string &name) {
  const auto source = builder_.add_source(name);
  if (!source) {
    return std::nullopt;
  }
  return [this, id = *source](const FeedIndicator &indicator, std::uint32_t line) {
    const auto scope = indicator.scope == MatchScope::WithSubdomains ? DomainScope::WithSubdomains
                                                                     : DomainScope::Exact;
    const auto confidence = indicator.confidence == 0 ? kListConfidence : indicator.confidence;
    return taken(
        builder_.add(indicator.key, Mention{id, line, scope, confidence, indicator.valid_until}));
  };
}

FeedReport IntelCompiler::add_feed(const std::string &name, std::span<const std::uint8_t> bytes,
                                   ReservedPolicy reserved) {
  const auto sink = add_source(name);
  if (!sink) {
    FeedReport report;
    report.name = name;
    report.problem = "too many feeds, at most " + std::to_string(kMaxSources);
    return report;
  }
  return parse_list(name, bytes, reserved, *sink);
}

IntelCompiler::Compiled IntelCompiler::compile() {
  const auto start = monotonic_now();
  Compiled compiled;
  compiled.report.indicators = builder_.indicators();
  if (builder_.indicators() == 0) {
    compiled.report.problem = "no indicator in any feed";
    return compiled;
  }
  auto image = builder_.build();
  if (!image) {
    compiled.report.problem = image.error().message;
    return compiled;
  }
  compiled.image = std::move(*image);
  compiled.report.image_bytes = compiled.image.size();
  const auto spent = std::chrono::nanoseconds(monotonic_now() - start);
  compiled.report.build_ns = static_cast<std::uint64_t>(spent.count());
  return compiled;
}

} // namespace outguard::intel
