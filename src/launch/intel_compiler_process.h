#pragma once
// Compiles feeds in a sandboxed process of its own. The result is a sealed memfd that any number of
// sensors map; the privileged side never reads a feed's bytes.

#include <functional>
#include <stop_token>
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

/// What to ask the compiler about, beside the feeds: would a list's line with this value be taken?
struct ValuesToJudge {
  std::vector<std::string> values;
  bool allow_reserved = false;
};

struct CompiledIntel {
  Fd image;                      ///< sealed against any change; empty when there is no indicator
  std::vector<FeedReport> feeds; ///< one a file, or a file of an archive; one that could not be
                                 ///< opened is one with a problem
  std::vector<std::string> left_out; ///< of the folders given, in words
  IntelReport totals;
  std::vector<ValueJudged> judged; ///< as ValuesToJudge::values, by the feeds' warninglists
  [[nodiscard]] bool good() const { return static_cast<bool>(image); }
};

/// An error only when the compiling itself did not work; bad feeds are in the reports.
/// A file may be an image that was compiled before, alone: the sandboxed process sees what it is,
/// so that nobody with privilege reads a byte of it. `stop` ends the process: at once an error.
[[nodiscard]] Result<CompiledIntel> compile_intel(const std::vector<FeedChoice> &choices,
                                                  const ValuesToJudge &asked = {},
                                                  const std::stop_token &stop = {});
/// One to stand beside an image in use; may hold removals alone.
[[nodiscard]] Result<CompiledIntel> compile_delta(const std::vector<FeedChoice> &choices,
                                                  const std::stop_token &stop = {});

/// The files a choice stands for, sorted; hidden files are left out. An error names what is wrong.
[[nodiscard]] Result<std::vector<std::string>> expand(const FeedChoice &choice);

} // namespace outguard::launch
