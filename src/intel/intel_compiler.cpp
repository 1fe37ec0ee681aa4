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

FeedReport IntelCompiler::add_feed(const std::string &name, std::span<const std::uint8_t> bytes,
                                   ReservedPolicy reserved) {
  const auto source = builder_.add_source(name);
  if (!source) {
    FeedReport report;
    report.name = name;
    report.problem = "too many feeds, at most " + std::to_string(kMaxSources);
    return report;
  }
  return parse_list(name, bytes, reserved, [&](const LineIndicator &indicator, std::uint32_t line) {
    return taken(
        builder_.add(indicator.key, Mention{*source, line, indicator.scope, kListConfidence, 0}));
  });
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
