#pragma once
// Lists of objects whose members are named as columns of a CSV are: abuse.ch's JSON, OTX pulses,
// Spamhaus DROP. An object that stands in no list is none: any answer of a server may name a URL.

#include "intel/feeds/json_feed.h"
#include "intel/feeds/json_values.h"

namespace outguard::intel {

/// In every list of the document: `[...]`, `{"data":[...]}`, `{"<id>":[...]}`. False: there is no
/// record, and nothing was handed out.
[[nodiscard]] bool read_records(const element &root, JsonFeedVisitor &visitor);

/// An object a line. False, and nothing was handed out: the first is no record.
[[nodiscard]] bool read_record_lines(std::string_view text, JsonFeedVisitor &visitor);

} // namespace outguard::intel
