#pragma once
// Feeds in, image and reports out: the whole job of the sandboxed compile process. One thread; used
// for one image. Does no file access: the caller opens feeds and writes the image.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "facts/intel_report.h"
#include "intel/index_builder.h"
#include "intel/indicator_guard.h"
#include "intel/list_parser.h"

namespace outguard::intel {

class IntelCompiler {
public:
  /// `guard` judges every indicator (not what is allowed or removed); it must live as long. None:
  /// all are taken.
  explicit IntelCompiler(HashSeed seed = random_seed(), IndicatorGuard *guard = nullptr)
      : guard_(guard), builder_(seed) {}

  /// What takes the indicators of a source named so, while this lives; nullopt: too many sources.
  /// As Role::Allowed they are an allowlist, their descriptions the comments; as Role::Removed,
  /// what a delta takes out of the image it will stand beside.
  [[nodiscard]] std::optional<FeedSink> add_source(const std::string &name,
                                                   Role role = Role::Indicator);

  /// A plain list (other formats: feeds/). Takes what is good in the feed, also when the report's
  /// `problem` says that nothing was.
  [[nodiscard]] FeedReport add_feed(const std::string &name, std::span<const std::uint8_t> bytes,
                                    ReservedPolicy reserved = ReservedPolicy::Refuse,
                                    Role role = Role::Indicator);

  struct Compiled {
    IntelReport report;
    std::vector<std::uint8_t> image; ///< empty when `report.problem` is not
  };
  enum class ImageKind : std::uint8_t { Whole, Delta };
  /// No indicator at all is a problem: an empty image would look like protection. A delta may only
  /// remove and allow.
  [[nodiscard]] Compiled compile(ImageKind kind = ImageKind::Whole);

private:
  [[nodiscard]] Receipt take(const FeedIndicator &indicator, SourceId source, std::uint32_t line);

  IndicatorGuard *guard_;
  IndexBuilder builder_;
};

} // namespace outguard::intel
