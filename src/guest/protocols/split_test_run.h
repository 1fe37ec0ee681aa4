#pragma once
// Tests and fuzzers: a parser of streams over bytes that arrive in two pieces. What it sees must
// not depend on where they are cut.

#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "guest/protocols/look.h"
#include "guest/protocols/recording_test_sink.h"

namespace outguard::guest {

/// What `look(bytes, sink)` observes until it is done, says NotMine, or all is consumed.
template <class LookAt>
std::vector<std::string> seen_when_cut(std::span<const std::uint8_t> all, std::size_t cut,
                                       LookAt look_at) {
  RecordingSink sink;
  std::uint64_t at = 0;
  for (const std::size_t end : {cut, all.size()}) {
    while (at < end && !sink.is_full()) {
      const auto bytes = all.subspan(static_cast<std::size_t>(at), end - at);
      const Look look = look_at(bytes, sink);
      if (look.outcome == Look::Outcome::NotMine || look.outcome == Look::Outcome::Done) {
        return sink.seen;
      }
      if (look.outcome == Look::Outcome::NeedMore) {
        break;
      }
      if (look.length == 0) {
        std::abort(); // would be asked for ever
      }
      at += look.length;
    }
  }
  return sink.seen;
}

/// A fuzzer's check: the first byte says where the rest is cut.
template <class MakeLookAt>
void abort_if_cut_matters(std::span<const std::uint8_t> data, MakeLookAt make) {
  if (data.empty()) {
    return;
  }
  const auto all = data.subspan(1);
  const std::size_t cut = std::size_t{data[0]} * all.size() / 256;
  if (seen_when_cut(all, all.size(), make()) != seen_when_cut(all, cut, make())) {
    std::abort();
  }
}

} // namespace outguard::guest
