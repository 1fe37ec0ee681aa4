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
  case IndexBuilder::Added::BadValue:
    return Taken::BadValue;
  }
  return Taken::Full;
}

} // namespace

std::optional<FeedSink> IntelCompiler::add_source(const std::string &name, Role role) {
  const auto source = builder_.add_source(name);
  if (!source) {
    return std::nullopt;
  }
  return [this, role, id = *source](const FeedIndicator &indicator, std::uint32_t line) {
    return role == Role::Indicator && guard_ != nullptr
               ? take(indicator, id, line)
               : Receipt(taken(builder_.add(indicator, id, line, role)));
  };
}

Receipt IntelCompiler::take(const FeedIndicator &indicator, SourceId source, std::uint32_t line) {
  const auto verdict = guard_->judge(indicator);
  if (verdict.refusal) {
    Receipt receipt(Taken::Guarded);
    receipt.reason = *verdict.refusal;
    receipt.guard = verdict.guard;
    return receipt;
  }
  if (verdict.flags.empty()) {
    return taken(builder_.add(indicator, source, line));
  }
  auto flagged = indicator;
  for (const auto flag : verdict.flags) {
    if (flagged.about.tags.size() < kMaxTags) {
      flagged.about.tags.emplace_back(flag.substr(0, kMaxTagBytes));
    }
  }
  Receipt receipt(taken(builder_.add(flagged, source, line)));
  receipt.flagged = true;
  return receipt;
}

FeedReport IntelCompiler::add_feed(const std::string &name, std::span<const std::uint8_t> bytes,
                                   ReservedPolicy reserved, Role role) {
  const auto sink = add_source(name, role);
  if (!sink) {
    FeedReport report;
    report.name = name;
    report.problem = "too many feeds, at most " + std::to_string(kMaxSources);
    return report;
  }
  return parse_list(name, bytes, reserved, *sink);
}

IntelCompiler::Compiled IntelCompiler::compile(ImageKind kind) {
  const auto start = monotonic_now();
  Compiled compiled;
  compiled.report.indicators = builder_.count(Role::Indicator);
  const bool is_change = builder_.count(Role::Removed) + builder_.count(Role::Allowed) != 0;
  if (compiled.report.indicators == 0 && !(kind == ImageKind::Delta && is_change)) {
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
