#include "evidence/evidence_collector.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/clock.h"
#include "evidence/archive_file.h"
#include "evidence/parts.h"
#include "launch/describe_process.h"
#include "launch/evidence_calls.h"
#include "store/json_lines.h"
#include "store/process_detail_json.h"

namespace outguard::evidence {

namespace {

using std::chrono::milliseconds;
using store::EvidenceState;

constexpr std::size_t kMostNameOfVm = 40;
constexpr std::size_t kMostTree = 10'000;

std::int64_t now_ns() {
  return wall_now().time_since_epoch().count();
}

/// "20260131T120000Z".
std::string compact_time() {
  auto text = rfc3339_timestamp(wall_now()).substr(0, 19) + "Z";
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

bool holds(const std::vector<SocketOwner> &owners, std::int32_t pid) {
  return std::ranges::any_of(owners,
                             [&](const SocketOwner &one) { return one.process.pid == pid; });
}

/// From pid 1 to the process, then what descends from it, each after its parent.
std::vector<const ProcessSeen *> tree_of(const std::vector<ProcessSeen> &rows, std::int32_t pid) {
  std::multimap<std::int32_t, const ProcessSeen *> children;
  std::map<std::int32_t, const ProcessSeen *> by_pid;
  for (const auto &row : rows) {
    by_pid.emplace(row.identity.pid, &row);
    if (row.ppid) {
      children.emplace(*row.ppid, &row);
    }
  }
  std::vector<const ProcessSeen *> tree;
  std::set<std::int32_t> seen;
  for (auto at = by_pid.find(pid); at != by_pid.end() && seen.insert(at->first).second;
       at = by_pid.find(at->second->ppid.value_or(0))) {
    tree.insert(tree.begin(), at->second);
  }
  for (std::size_t next = tree.empty() ? 0 : tree.size() - 1;
       next < tree.size() && tree.size() < kMostTree; ++next) {
    const auto [begin, end] = children.equal_range(tree[next]->identity.pid);
    for (auto child = begin; child != end; ++child) {
      if (seen.insert(child->second->identity.pid).second) {
        tree.push_back(child->second);
      }
    }
  }
  return tree;
}

/// One collection.
class Collection {
public:
  Collection(launch::SensorProcess &sensor, store::EvidenceSubject subject, const Limits &limits,
             const Progress &step)
      : sensor_(sensor), subject_(std::move(subject)), limits_(limits), step_(step),
        end_(monotonic_now() + limits.most_time) {}

  Result<Filed> run(const std::string &path);

private:
  [[nodiscard]] Result<void> read_process();
  void read_packets();
  void read_sockets();
  void read_files();
  void read_environment();
  void read_tree();
  void read_guest();
  void read_executable();
  void read_libraries();
  [[nodiscard]] Result<Filed> pack(const std::string &path);

  /// Reads a part by `read`, or names it as not read where the time is over.
  void part(const std::string &name, const std::function<void()> &read);
  [[nodiscard]] milliseconds left() const {
    return std::max(std::chrono::ceil<milliseconds>(end_ - monotonic_now()), milliseconds(1));
  }
  [[nodiscard]] std::int32_t pid() const { return subject_.process.pid; }
  template <class Rows, class Write>
  void add_rows(const std::string &name, std::int64_t read_ns, const Rows &rows,
                const Completeness &completeness, const Write &write) {
    std::string text;
    for (const auto &row : rows) {
      text += write(row) + "\n";
    }
    parts_.add_text(name, std::move(text), read_ns, completeness);
  }

  launch::SensorProcess &sensor_;
  store::EvidenceSubject subject_;
  const Limits &limits_;
  const Progress &step_;
  const MonotonicTime end_;
  Parts parts_;
};

void Collection::part(const std::string &name, const std::function<void()> &read) {
  if (step_) {
    step_(name);
  }
  if (monotonic_now() >= end_) {
    return parts_.not_read(
        name, fmt::format("the {} s for a collection were over", limits_.most_time.count()));
  }
  read();
}

void Collection::read_packets() {
  const auto began = now_ns();
  auto memory = launch::make_memory(limits_.most_packets);
  auto copied = memory ? launch::copy_packets(sensor_, *memory) : tl::unexpected(memory.error());
  if (!copied || copied->taps == 0 || copied->bytes > limits_.most_packets) {
    return parts_.not_read("packets.pcapng", !copied             ? copied.error().message
                                             : copied->taps == 0 ? "no tap is watched here"
                                                                 : "the sensor's answer is wrong");
  }
  store::EvidenceMember member;
  member.name = "packets.pcapng";
  member.bytes = copied->bytes;
  member.read_ns = began;
  if (copied->passed_over + copied->left_out + copied->truncated != 0) {
    member.state = EvidenceState::Partial;
    member.why = fmt::format("{} packets came too fast to be kept, {} did not fit, {} are cut",
                             copied->passed_over, copied->left_out, copied->truncated);
  }
  parts_.add(std::move(member), std::move(*memory));
  parts_.add_text("packets.json", store::packets_json(subject_.vm, *copied) + "\n", began);
}

Result<void> Collection::read_process() {
  const auto began = now_ns();
  const auto seen = launch::describe_process(sensor_, pid(), {.hash = false, .maps = true});
  const auto alone =
      seen ? Result<launch::ProcessInDepth>(*seen) : launch::describe_process(sensor_, pid(), {});
  if (!alone) {
    return tl::unexpected(alone.error());
  }
  const auto &process = alone->detail.process;
  if (subject_.process.start_boottime_ns != 0 && subject_.process != process.identity) {
    return fail(ErrorCode::NotFound,
                fmt::format("process {} has ended: another one has its pid now", pid()));
  }
  subject_.process = process.identity;
  parts_.add_text("process.json", store::process_detail_json(subject_.vm, alone->detail) + "\n",
                  began);
  if (process.torn) {
    auto &member = parts_.all().back().member;
    member.state = EvidenceState::Torn;
    member.why = "the process changed while it was read";
  }
  if (!alone->maps) {
    parts_.not_read("maps.jsonl", seen ? "the sensor did not answer" : seen.error().message);
    return {};
  }
  add_rows("maps.jsonl", began, alone->maps->rows, alone->maps->completeness,
           [&](const MapSeen &map) { return store::map_json(subject_.vm, pid(), map); });
  return {};
}

void Collection::read_sockets() {
  const auto began = now_ns();
  const auto seen = launch::list_all_sockets(sensor_);
  if (!seen) {
    return parts_.not_read("sockets.jsonl", seen.error().message);
  }
  std::string text;
  for (const auto &row : seen->ip) {
    text += holds(row.owners, pid()) ? store::socket_json(subject_.vm, row) + "\n" : "";
  }
  for (const auto &row : seen->others) {
    text += holds(row.owners, pid()) ? store::other_socket_json(subject_.vm, row) + "\n" : "";
  }
  parts_.add_text("sockets.jsonl", std::move(text), began, seen->completeness);
}

void Collection::read_files() {
  const auto began = now_ns();
  const auto seen = launch::list_open_files(sensor_, subject_.process);
  if (!seen) {
    return parts_.not_read("files.jsonl", seen.error().message);
  }
  add_rows("files.jsonl", began, seen->rows, seen->completeness, [&](const OpenFileSeen &file) {
    return store::open_file_json(subject_.vm, pid(), file);
  });
}

void Collection::read_environment() {
  const auto began = now_ns();
  const auto seen = launch::read_environment(sensor_, subject_.process);
  if (!seen) {
    return parts_.not_read("environment.json", seen.error().message);
  }
  parts_.add_text("environment.json", store::environment_json(subject_.vm, pid(), *seen) + "\n",
                  began, {seen->cut, seen->cut ? "longer than is read" : ""});
}

void Collection::read_tree() {
  const auto began = now_ns();
  const auto seen = launch::list_processes(sensor_);
  if (!seen) {
    return parts_.not_read("tree.jsonl", seen.error().message);
  }
  add_rows("tree.jsonl", began, tree_of(seen->rows, pid()), seen->completeness,
           [&](const ProcessSeen *row) { return store::process_json(subject_.vm, *row); });
}

void Collection::read_guest() {
  const auto began = now_ns();
  const auto seen = launch::describe_guest(sensor_);
  if (!seen) {
    return parts_.not_read("vm.json", seen.error().message);
  }
  parts_.add_text("vm.json", store::guest_state_json(subject_, *seen) + "\n", began);
}

void Collection::read_executable() {
  store::EvidenceMember member;
  member.name = "executable";
  member.read_ns = now_ns();
  auto memory = launch::make_memory(limits_.most_executable);
  auto copied = memory ? launch::copy_executable(sensor_, subject_.process, *memory, left())
                       : tl::unexpected(memory.error());
  if (!copied) {
    return parts_.not_read(member.name, copied.error().message);
  }
  const auto &hash = copied->hash;
  member.bytes = hash.file_bytes;
  member.missing = std::move(copied->missing);
  member.missing_cut = copied->missing_cut;
  if (hash.status == FileHash::Status::Unreadable) {
    return parts_.not_read(member.name, "its page cache cannot be read");
  }
  if (hash.status == FileHash::Status::TooLarge || hash.file_bytes > limits_.most_executable) {
    return parts_.not_read(member.name, fmt::format("its {} bytes are more than are copied ({})",
                                                    hash.file_bytes, limits_.most_executable));
  }
  if (hash.status == FileHash::Status::Changed) {
    member.state = EvidenceState::Torn;
    member.why = "the file was written while it was read";
  } else if (hash.status == FileHash::Status::Partial) {
    member.state = EvidenceState::Partial;
    member.why = fmt::format("{} of {} bytes were in the guest's memory; zeros for the others",
                             hash.resident_bytes, hash.file_bytes);
  }
  parts_.add(std::move(member), std::move(*memory));
}

void Collection::read_libraries() {
  const auto began = now_ns();
  const auto seen = launch::hash_libraries(sensor_, subject_.process, left());
  if (!seen) {
    return parts_.not_read("libraries.jsonl", seen.error().message);
  }
  add_rows("libraries.jsonl", began, seen->rows, seen->completeness,
           [&](const LibrarySeen &one) { return store::library_json(subject_.vm, pid(), one); });
}

Result<Filed> Collection::run(const std::string &path) {
  // What is gone first: packets in the ring, then what the process has at this moment; at last what
  // stays in the page cache for a while.
  part("packets.pcapng", [&] { read_packets(); });
  if (auto found = read_process(); !found) {
    return tl::unexpected(found.error());
  }
  part("sockets.jsonl", [&] { read_sockets(); });
  part("files.jsonl", [&] { read_files(); });
  part("environment.json", [&] { read_environment(); });
  part("tree.jsonl", [&] { read_tree(); });
  part("vm.json", [&] { read_guest(); });
  part("executable", [&] { read_executable(); });
  part("libraries.jsonl", [&] { read_libraries(); });
  return pack(path);
}

Result<Filed> Collection::pack(const std::string &path) {
  auto file = ArchiveFile::open(path);
  if (!file) {
    return tl::unexpected(file.error());
  }
  auto packer = launch::EvidencePacker::start(file->file(), "evidence", limits_.most_bytes);
  if (!packer) {
    return tl::unexpected(packer.error());
  }
  const auto add = [&](Parts::Part &part) -> Result<void> {
    auto &member = part.member;
    if (member.state == EvidenceState::NotRead) {
      return {};
    }
    auto sha256 = packer->add(member.name, part.bytes, member.bytes, member.read_ns);
    if (!sha256) {
      return tl::unexpected(sha256.error());
    }
    member.sha256 = std::move(*sha256);
    return {};
  };
  Result<void> added;
  for (auto &part : parts_.all()) {
    added = added ? add(part) : added;
  }
  const auto gaps = parts_.gaps();
  const auto last = [&](const char *name, std::string text) {
    parts_.add_text(name, std::move(text), now_ns());
    added = added ? add(parts_.all().back()) : added;
  };
  last("manifest.json", store::evidence_manifest(subject_, parts_.members()));
  last("SHA256SUMS", store::checksum_lines(parts_.members()));
  if (added) {
    added = packer->finish();
  }
  if (!added) {
    return tl::unexpected(added.error());
  }
  auto kept = file->keep();
  if (!kept) {
    return tl::unexpected(kept.error());
  }
  return Filed{path, std::move(kept->sha256), kept->bytes, gaps};
}

} // namespace

Result<Filed> collect(launch::SensorProcess &sensor, store::EvidenceSubject subject,
                      const std::string &path, const Limits &limits, const Progress &step) {
  subject.version = OUTGUARD_VERSION;
  return Collection(sensor, std::move(subject), limits, step).run(path);
}

std::string words_of(const Filed &filed) {
  std::string words =
      fmt::format("filed {}, sha256 {}, {} bytes", filed.path, filed.sha256, filed.bytes);
  for (const auto &gap : filed.gaps) {
    words += "; " + gap;
  }
  return words;
}

std::string archive_name(const store::EvidenceSubject &subject) {
  std::string vm;
  for (const char c : subject.vm.raw().substr(0, kMostNameOfVm)) {
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    vm += is_plain ? c : '_';
  }
  return fmt::format("{}-pid-{}-{}.tar.zst", vm.empty() ? "vm" : vm, subject.process.pid,
                     subject.action.empty() ? compact_time() : subject.action);
}

} // namespace outguard::evidence
