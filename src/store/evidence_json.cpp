#include "store/evidence_json.h"

#include <algorithm>

#include "base/clock.h"
#include "store/json_value.h"
#include "store/process_detail_json.h"

namespace outguard::store {

namespace {

Json time_of(std::int64_t ns) {
  return ns == 0 ? Json() : Json(rfc3339_timestamp(WallTime(std::chrono::nanoseconds(ns))));
}

Json object_of(const EvidenceMember &member) {
  Json object{{"name", text(member.name)},
              {"state", to_string(member.state)},
              {"why", text_or_null(member.why)},
              {"read_at", time_of(member.read_ns)}};
  if (member.state == EvidenceState::NotRead) {
    return object;
  }
  object["bytes"] = member.bytes;
  object["sha256"] = member.sha256;
  if (!member.missing.empty()) {
    auto missing = Json::array();
    for (const auto &range : member.missing) {
      missing.push_back({{"offset", range.offset}, {"bytes", range.bytes}});
    }
    object["missing"] = std::move(missing);
    object["missing_cut"] = member.missing_cut;
  }
  return object;
}

Json object_of(const FileHash &hash) {
  const bool whole = hash.status == FileHash::Status::Complete;
  return {{"status", to_string(hash.status)},
          {"sha256", whole ? Json(hex(hash.sha256)) : Json()},
          {"bytes", hash.file_bytes},
          {"resident_bytes", hash.resident_bytes}};
}

} // namespace

const char *to_string(EvidenceState state) {
  switch (state) {
  case EvidenceState::Complete:
    return "complete";
  case EvidenceState::Partial:
    return "partial";
  case EvidenceState::Torn:
    return "torn";
  case EvidenceState::NotRead:
    break;
  }
  return "not_read";
}

std::string evidence_manifest(const EvidenceSubject &subject, std::vector<EvidenceMember> members) {
  auto rows = Json::array();
  std::ranges::stable_sort(members, {}, [](const EvidenceMember &member) {
    return member.state == EvidenceState::NotRead;
  });
  for (const auto &member : members) {
    rows.push_back(object_of(member));
  }
  const auto &process = subject.process;
  const Json manifest{{"format", "outguard-evidence"},
                      {"format_version", 1},
                      {"tool", "outguard"},
                      {"tool_version", text(subject.version)},
                      {"vm", text(subject.vm)},
                      {"vm_key", text_or_null(subject.vm_key)},
                      {"source", text(subject.source)},
                      {"pid", process.pid},
                      {"start_boottime_ns", process.start_boottime_ns},
                      {"task", process.task},
                      {"action", text_or_null(subject.action)},
                      {"actor", text_or_null(subject.actor)},
                      {"why", text_or_null(subject.why)},
                      {"members", std::move(rows)}};
  constexpr int kIndent = 1;
  return manifest.dump(kIndent, ' ', true, Json::error_handler_t::replace) + "\n";
}

std::string checksum_lines(const std::vector<EvidenceMember> &members) {
  std::string lines;
  for (const auto &member : members) {
    if (member.state != EvidenceState::NotRead) {
      lines += member.sha256 + "  " + member.name + "\n";
    }
  }
  return lines;
}

std::string guest_state_json(const EvidenceSubject &subject, const GuestStateSeen &state) {
  const auto words = [](const std::vector<std::string> &all) {
    auto list = Json::array();
    for (const auto &one : all) {
      list.push_back(text(one));
    }
    return list;
  };
  const auto &kernel = state.kernel;
  return line({{"vm", text(subject.vm)},
               {"vm_key", text_or_null(subject.vm_key)},
               {"state", to_string(state.state)},
               {"reason", text_or_null(state.reason)},
               {"kernel", text_or_null(kernel.release)},
               {"banner", text_or_null(kernel.banner)},
               {"text_base", kernel.text_base},
               {"kaslr_offset", kernel.kaslr_offset},
               {"physical_base", kernel.physical_base},
               {"paging_levels", kernel.paging_levels},
               {"located_by", text_or_null(kernel.located_by)},
               {"symbols_from", text_or_null(kernel.symbols_from)},
               {"types_from", text_or_null(kernel.types_from)},
               {"integrity", words(kernel.integrity)},
               {"integrity_checks", kernel.integrity_checks},
               {"gaps", words(state.gaps)}});
}

std::string open_file_json(const GuestText &vm, std::int32_t pid, const OpenFileSeen &file) {
  return line({{"vm", text(vm)},
               {"pid", pid},
               {"fd", file.fd},
               {"path", or_null(file.path)},
               {"deleted", file.deleted},
               {"inode", file.inode},
               {"position", or_null(file.position)},
               {"flags", or_null(file.flags)}});
}

std::string library_json(const GuestText &vm, std::int32_t pid, const LibrarySeen &library) {
  return line({{"vm", text(vm)},
               {"pid", pid},
               {"path", or_null(library.path)},
               {"deleted", library.deleted},
               {"inode", library.inode},
               {"file", object_of(library.hash)}});
}

std::string environment_json(const GuestText &vm, std::int32_t pid,
                             const EnvironmentRead &environment) {
  auto words = Json::array();
  for (const auto &word : environment.words) {
    words.push_back(text(word));
  }
  return line({{"vm", text(vm)},
               {"pid", pid},
               {"environment", std::move(words)},
               {"cut", environment.cut}});
}

std::string filed_json(const std::string &path, const std::string &sha256, std::uint64_t bytes,
                       const std::vector<std::string> &gaps) {
  auto partial = Json::array();
  for (const auto &gap : gaps) {
    partial.push_back(text(gap));
  }
  return line({{"path", text(GuestText(path))},
               {"sha256", sha256},
               {"bytes", bytes},
               {"partial", std::move(partial)}});
}

std::string packets_json(const GuestText &vm, const PacketsCopied &packets) {
  return line({{"vm", text(vm)},
               {"taps", packets.taps},
               {"packets", packets.packets},
               {"truncated", packets.truncated},
               {"left_out", packets.left_out},
               {"passed_over", packets.passed_over},
               {"first", time_of(packets.first_ns)},
               {"last", time_of(packets.last_ns)}});
}

} // namespace outguard::store
