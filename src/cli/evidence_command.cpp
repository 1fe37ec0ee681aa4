// evidence --out: what can be read of one process, collected by a sensor of this command's own.
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "cli/target.h"
#include "evidence/evidence_collector.h"
#include "store/evidence_json.h"

namespace outguard::cli {

Exit evidence_into(const Common &common, const EvidenceOptions &options) {
  auto opened = open_target(options.target, common.patience, launch::SymbolFiles(common.symbols));
  if (!opened) {
    return report(opened.error());
  }
  store::EvidenceSubject subject;
  subject.vm = opened->name;
  subject.source = opened->memory == "dump" ? "dump" : "live";
  subject.process.pid = options.pid;
  subject.actor = fmt::format("uid {}", ::getuid());
  subject.why = options.why;
  const bool is_watched = ::isatty(STDERR_FILENO) != 0;
  const auto tell = [&](const std::string &part) {
    if (is_watched) {
      fmt::print(stderr, "outguard: reading {}\n", part);
    }
  };
  const auto filed = evidence::collect(opened->sensor, subject, options.file, {}, tell);
  if (!filed) {
    return report(filed.error());
  }
  if (common.format == Format::Json) {
    print_line(store::filed_json(filed->path, filed->sha256, filed->bytes, filed->gaps));
  } else {
    print_line(fmt::format("{:<9} {}", "file", GuestText(filed->path).printable()));
    print_line(fmt::format("{:<9} {}", "sha256", filed->sha256));
    print_line(fmt::format("{:<9} {}", "bytes", filed->bytes));
    for (const auto &gap : filed->gaps) {
      print_line(fmt::format("{:<9} {}", "partial", gap));
    }
  }
  return Exit::Ok;
}

} // namespace outguard::cli
