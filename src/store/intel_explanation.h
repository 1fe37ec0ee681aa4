#pragma once
// What `intel explain` says of one value: what lists it and whether that matches now; what refused
// it, if anything did. Plain data and its JSON row; any thread.

#include <string>
#include <vector>

#include "facts/intel_report.h"
#include "facts/messages.h"

namespace outguard::store {

struct Explanation {
  std::string what;  ///< "value", "remote address", "dns-query", ...
  std::string value; ///< as asked for
  ValueExplained explained;
  ValueJudged judged; ///< what would become of a list's line that says the value
  struct Refused {
    std::string feed;
    RejectedLine line;
  };
  std::vector<Refused> refused; ///< such lines, among those that reports name
  std::vector<std::string> tried;
};

/// "matches", "allowed", "removed", "not_yet_valid", "expired", "refused" (a list has it, a guard
/// or the parser did not take it), "not_listed".
[[nodiscard]] const char *verdict(const Explanation &explanation);

[[nodiscard]] std::string explanation_json(const Explanation &explanation);

/// A part of a flow or alert that an indicator may be of.
struct AlertPart {
  std::string what, value;
};
/// What an EVE line shows: the remote end, and what was matched. Empty: not an event with
/// addresses. `flow_id`: only if it is of that flow; empty: of any.
[[nodiscard]] std::vector<AlertPart> parts_of_eve(std::string_view json,
                                                  std::string_view flow_id = {});

} // namespace outguard::store
