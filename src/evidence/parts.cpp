#include "evidence/parts.h"

#include <cerrno>

#include <unistd.h>

#include "base/clock.h"
#include "launch/evidence_calls.h"

namespace outguard::evidence {

namespace {

/// A guest with a million mappings makes 200 MB of rows.
constexpr std::size_t kMostText = std::size_t{64} << 20;

Result<Fd> memory_with(const std::string &text) {
  auto memory = launch::make_memory(text.size());
  for (std::size_t at = 0; memory && at < text.size();) {
    const ssize_t done =
        ::pwrite(memory->get(), text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (done < 0 && errno != EINTR) {
      return fail_errno("memory for evidence");
    }
    at += done > 0 ? static_cast<std::size_t>(done) : 0;
  }
  return memory;
}

} // namespace

void Parts::add_text(const std::string &name, std::string text, std::int64_t read_ns,
                     const Completeness &completeness) {
  store::EvidenceMember member;
  member.name = name;
  member.read_ns = read_ns;
  if (completeness.partial) {
    member.state = store::EvidenceState::Partial;
    member.why = completeness.reason;
  }
  if (text.size() > kMostText) {
    text.resize(text.rfind('\n', kMostText) + 1);
    member.state = store::EvidenceState::Partial;
    member.why = "more rows than are kept";
  }
  member.bytes = text.size();
  auto memory = memory_with(text);
  if (!memory) {
    return not_read(name, memory.error().message);
  }
  add(std::move(member), std::move(*memory));
}

void Parts::add(store::EvidenceMember member, Fd bytes) {
  parts_.push_back({std::move(member), std::move(bytes)});
}

void Parts::not_read(const std::string &name, std::string why) {
  store::EvidenceMember member;
  member.name = name;
  member.read_ns = wall_now().time_since_epoch().count();
  member.state = store::EvidenceState::NotRead;
  member.why = std::move(why);
  add(std::move(member), {});
}

std::vector<store::EvidenceMember> Parts::members() const {
  std::vector<store::EvidenceMember> all;
  for (const auto &part : parts_) {
    all.push_back(part.member);
  }
  return all;
}

std::vector<std::string> Parts::gaps() const {
  std::vector<std::string> all;
  for (const auto &part : parts_) {
    if (part.member.state != store::EvidenceState::Complete) {
      all.push_back(part.member.name + ": " + to_string(part.member.state) + ": " +
                    part.member.why);
    }
  }
  return all;
}

} // namespace outguard::evidence
