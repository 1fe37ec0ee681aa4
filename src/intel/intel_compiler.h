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
#include "intel/list_parser.h"

namespace outguard::intel {

/// Plain lists state no confidence of their own.
inline constexpr std::uint8_t kListConfidence = 75;

class IntelCompiler {
public:
  explicit IntelCompiler(HashSeed seed = random_seed()) : builder_(seed) {}

  /// What takes the indicators of a source named so, while this lives; nullopt: too many sources.
  [[nodiscard]] std::optional<FeedSink> add_source(const std::string &name);

  /// A plain list (other formats: feeds/). Takes what is good in the feed, also when the report's
  /// `problem` says that nothing was.
  [[nodiscard]] FeedReport add_feed(const std::string &name, std::span<const std::uint8_t> bytes,
                                    ReservedPolicy reserved = ReservedPolicy::Refuse);

  struct Compiled {
    IntelReport report;
    std::vector<std::uint8_t> image; ///< empty when `report.problem` is not
  };
  /// No indicator at all is a problem: an empty image would look like protection.
  [[nodiscard]] Compiled compile();

private:
  IndexBuilder builder_;
};

} // namespace outguard::intel
