#pragma once
// What became of each feed file: exact counts, and the first rejected lines with their reasons.

#include <cstdint>
#include <string>
#include <vector>

#include "facts/guest_text.h"

namespace outguard {

/// Rejected lines told one by one, a file; the rest is in the counts.
inline constexpr std::size_t kMaxRejectsListed = 64;

struct RejectedLine {
  std::uint32_t line = 0; ///< 1-based
  std::string reason;
  GuestText text; ///< the line, cut to 120 bytes
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.line, self.reason, self.text);
  }
};

struct RejectCount {
  std::string reason;
  std::uint64_t count = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.reason, self.count);
  }
};

struct FeedReport {
  std::string name;
  std::string format;  ///< as detected or named: "list", "stix", ...; empty when unknown
  std::string problem; ///< not empty: the file as a whole was refused (empty, binary, unreadable)
  std::string note;    ///< why a sound file gives nothing, e.g. an index of other files
  std::uint64_t accepted = 0, duplicates = 0, rejected = 0, comments = 0;
  std::uint64_t flagged = 0; ///< accepted, with a warninglist's name among the tags
  std::uint64_t ignored = 0; ///< sound content that is no indicator here, e.g. e-mail addresses
  std::vector<RejectCount> reasons;
  std::vector<RejectCount> ignored_kinds;
  std::vector<RejectedLine> lines;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.name, self.format, self.problem, self.note, self.accepted, self.duplicates,
         self.rejected, self.comments, self.flagged, self.ignored, self.reasons, self.ignored_kinds,
         self.lines);
  }
};

/// One a feed; a file that is an archive holds several.
struct FeedReports {
  std::vector<FeedReport> feeds;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.feeds); }
};

/// What the compiled image holds. The files were told one by one as FeedReports.
struct IntelReport {
  std::uint64_t indicators = 0; ///< in the image, after merging
  std::uint64_t image_bytes = 0;
  std::uint64_t build_ns = 0;
  std::string problem; ///< not empty: no image was made
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.indicators, self.image_bytes, self.build_ns, self.problem);
  }
};

} // namespace outguard
