#include "intel/feeds/feed_reader.h"

#include <algorithm>

#include "intel/feeds/adblock_parser.h"
#include "intel/feeds/archive.h"
#include "intel/feeds/csv_parser.h"
#include "intel/feeds/dataset_parser.h"
#include "intel/feeds/feed_row.h"
#include "intel/feeds/intake.h"
#include "intel/feeds/misp_parser.h"
#include "intel/feeds/rpz_parser.h"
#include "intel/feeds/stix_parser.h"
#include "intel/feeds/zeek_parser.h"
#include "intel/list_parser.h"

namespace outguard::intel {

namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
/// A NUL this early means a binary file or UTF-16; a later one spoils only its line.
constexpr std::size_t kBinaryProbeBytes = 4096;
constexpr std::size_t kTarMagicAt = 257;
constexpr int kMostPackings = 2; ///< a gzip within a zip

using Bytes = std::span<const std::uint8_t>;

FeedReport refused(const std::string &name, std::string problem) {
  FeedReport report;
  report.name = name;
  report.problem = std::move(problem);
  return report;
}

/// What no format begins with; empty when there is nothing against it.
std::string obvious_problem(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return "UTF-16 text: save it as UTF-8";
  }
  if (text.find_first_not_of(" \t\r\n") == text.npos) {
    return "empty file";
  }
  if (text.size() > kTarMagicAt && text.substr(kTarMagicAt).starts_with("ustar")) {
    return "a tar archive: give its files one by one";
  }
  if (const auto nul = text.substr(0, kBinaryProbeBytes).find('\0'); nul != text.npos) {
    return "binary data, not a feed (NUL at byte " + std::to_string(nul) + ")";
  }
  std::string_view start = text.substr(text.find_first_not_of(" \t\r\n"));
  if (start.starts_with("<?xml")) {
    return "XML, which no known feed format is";
  }
  if (start.starts_with('<')) {
    return "an HTML page, not a feed (an error page?)";
  }
  return {};
}

class JsonTaker final : public JsonFeedVisitor {
public:
  explicit JsonTaker(Intake &intake) : intake_(&intake), stix_(intake) {}
  void on_misp(const MispEvent &event, const MispAttribute &attribute,
               std::uint32_t number) override {
    take_misp(event, attribute, number, *intake_);
  }
  void note_stix(const StixObject &object) override { stix_.note(object); }
  void on_stix(const StixObject &object, std::uint32_t number) override {
    stix_.take(object, number);
  }
  void on_record(const JsonRecord &record, std::uint32_t number) override {
    shown_.clear();
    for (const auto &field : record.fields) {
      shown_.append(shown_.empty() || field.empty() ? "" : ",").append(field);
    }
    FeedRow(record.fields, shown_, number, *intake_).take(record.columns);
  }
  void on_bad_line(std::string_view line, std::uint32_t number) override {
    intake_->reject(RejectReason::BadRecord, line, number);
  }
  void on_other_object() override { intake_->ignore("object without an indicator"); }

private:
  Intake *intake_;
  StixParser stix_;
  std::string shown_; ///< a record's fields, for a report
};

void parse_json(std::string_view text, Intake &intake) {
  JsonTaker taker(intake);
  const auto outcome = read_json_feed(text, taker);
  auto &report = intake.report();
  if (!outcome.problem.empty()) {
    report.set_problem(outcome.problem);
    return;
  }
  switch (outcome.shape) {
  case JsonShape::Unknown:
  case JsonShape::Records:
    break;
  case JsonShape::Misp:
    report.set_format("misp");
    break;
  case JsonShape::MispManifest:
    report.set_format("misp-manifest");
    report.set_note("the index of a MISP feed: its events are files of their own");
    break;
  case JsonShape::MispWarningList:
    report.set_format("misp-warninglist");
    report.set_problem("a MISP warning list: what is harmless, not what is harmful");
    break;
  case JsonShape::Stix:
    report.set_format("stix");
    break;
  case JsonShape::TaxiiEnvelope:
    report.set_format("taxii");
    break;
  }
}

/// Lists have a parser of their own; what a name says of bare digests is added here.
FeedReport read_list(const std::string &name, std::string_view text, ReservedPolicy policy,
                     const FeedSink &sink) {
  const Intake hints(name, policy, sink);
  const Bytes bytes(reinterpret_cast<const std::uint8_t *>(text.data()), text.size());
  if (!hints.retypes()) {
    return parse_list(name, bytes, policy, sink);
  }
  return parse_list(name, bytes, policy, [&](const FeedIndicator &given, std::uint32_t line) {
    auto indicator = given;
    hints.retype(indicator);
    return sink(indicator, line);
  });
}

FeedReport read_text(const std::string &name, std::string_view text, const FeedOptions &options,
                     const FeedSink &sink) {
  if (text.starts_with(kUtf8Mark)) {
    text.remove_prefix(kUtf8Mark.size());
  }
  if (auto problem = obvious_problem(text); !problem.empty()) {
    return refused(name, std::move(problem));
  }
  const auto format = options.format ? *options.format : detect_format(name, text);
  if (format == FeedFormat::List) {
    return read_list(name, text, options.reserved, sink);
  }
  Intake intake(name, options.reserved, sink);
  intake.report().set_format(to_string(format));
  switch (format) {
  case FeedFormat::List:
    break;
  case FeedFormat::Csv:
    parse_csv(text, intake);
    break;
  case FeedFormat::ZeekIntel:
    parse_zeek_intel(text, intake);
    break;
  case FeedFormat::SuricataDataset:
    parse_dataset(text, intake);
    break;
  case FeedFormat::SuricataReputation:
    parse_iprep(text, intake);
    break;
  case FeedFormat::AdGuard:
    parse_adblock(text, intake);
    break;
  case FeedFormat::Rpz:
    parse_rpz(text, intake);
    break;
  case FeedFormat::Json:
    parse_json(text, intake);
    break;
  }
  return intake.report().finish();
}

class Reader {
public:
  Reader(const FeedOptions &options, const SinkOf &sink_of)
      : options_(&options), sink_of_(&sink_of) {}

  void read(const std::string &name, Bytes bytes, const std::string &packed, int depth) {
    const auto packing = packing_of(bytes);
    const auto how = packing == Packing::None ? packed
                     : packed.empty()         ? std::string(to_string(packing))
                                              : packed + ", " + to_string(packing);
    if (packing == Packing::None) {
      read_plain(name, bytes, how);
    } else if (depth == kMostPackings || (depth > 0 && packing == Packing::Zip)) {
      refuse(name, "an archive within an archive", how);
    } else if (packing == Packing::Zip) {
      read_zip(name, bytes, how, depth);
    } else if (const auto unpacked = unpack(packing, bytes, limits()); unpacked) {
      left_ -= std::min(left_, unpacked->size());
      read(name, *unpacked, how, depth + 1);
    } else {
      refuse(name, unpacked.error(), how);
    }
  }

  std::vector<FeedReport> finish() { return std::move(reports_); }

private:
  void read_zip(const std::string &name, Bytes bytes, const std::string &how, int depth) {
    const auto before = reports_.size();
    const auto problem = unpack_zip(
        bytes,
        [&](const std::string &member, Unpacked content) {
          const auto full = name + "/" + member;
          if (content) {
            read(full, *content, how, depth + 1);
          } else {
            refuse(full, content.error(), how);
          }
        },
        limits());
    if (!problem.empty()) {
      refuse(name, problem, how);
    } else if (reports_.size() == before) {
      refuse(name, "no file in the archive", how);
    }
  }

  void read_plain(const std::string &name, Bytes bytes, const std::string &packed) {
    const auto sink = (*sink_of_)(name);
    if (!sink) {
      refuse(name, "too many feeds", packed);
      return;
    }
    const std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    add(read_text(name, text, *options_, *sink), packed);
  }

  void refuse(const std::string &name, std::string problem, const std::string &packed) {
    add(refused(name, std::move(problem)), packed);
  }
  void add(FeedReport report, const std::string &packed) {
    if (!packed.empty()) {
      report.format += (report.format.empty() ? "" : ", ") + packed;
    }
    reports_.push_back(std::move(report));
  }

  /// What one file unpacks to in all is limited, however it is nested.
  [[nodiscard]] UnpackLimits limits() const {
    UnpackLimits limits;
    limits.most_bytes = left_;
    return limits;
  }

  const FeedOptions *options_;
  const SinkOf *sink_of_;
  std::size_t left_ = UnpackLimits{}.most_bytes;
  std::vector<FeedReport> reports_;
};

} // namespace

std::vector<FeedReport> read_feed(const std::string &name, Bytes bytes, const FeedOptions &options,
                                  const SinkOf &sink_of) {
  Reader reader(options, sink_of);
  reader.read(name, bytes, "", 0);
  return reader.finish();
}

} // namespace outguard::intel
