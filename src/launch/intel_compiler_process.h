#pragma once
// Compiles feeds in a sandboxed process of its own. The result is a sealed memfd that any number of
// sensors map; the privileged side never reads a feed's bytes.

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/intel_report.h"
#include "facts/messages.h"

namespace outguard::launch {

struct FeedChoice {
  std::string path; ///< a file, or a folder whose files are all taken (not those below it)
  bool allow_reserved = false;          ///< accept private and documentation addresses
  std::string format;                   ///< "stix", "csv", ...; empty: detected
  FeedRole role = FeedRole::Indicators; ///< a folder of warninglists is searched for *.json, also
                                        ///< below it
  std::string name = {};                ///< of the source, instead of the path
};

struct CompiledIntel {
  Fd image;                      ///< sealed against any change; empty when there is no indicator
  std::vector<FeedReport> feeds; ///< one a file, or a file of an archive; one that could not be
                                 ///< opened is one with a problem
  IntelReport totals;
  [[nodiscard]] bool good() const { return static_cast<bool>(image); }
};

/// An error only when the compiling itself did not work; bad feeds are in the reports.
[[nodiscard]] Result<CompiledIntel> compile_intel(const std::vector<FeedChoice> &choices);
/// One to stand beside an image in use; may hold removals alone.
[[nodiscard]] Result<CompiledIntel> compile_delta(const std::vector<FeedChoice> &choices);

/// The files a choice stands for, sorted; hidden files are left out. An error names what is wrong.
[[nodiscard]] Result<std::vector<std::string>> expand(const FeedChoice &choice);

} // namespace outguard::launch
