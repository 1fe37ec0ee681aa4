#pragma once
// What an archive of evidence says of itself and of what sensors told for it: its manifest, and
// rows by the contract of json_lines.h. Pure functions, any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "facts/evidence.h"
#include "facts/reports.h"

namespace outguard::store {

/// How good a member is. Torn: it changed while it was read, so that it may be of two moments.
enum class EvidenceState : std::uint8_t { Complete, Partial, Torn, NotRead };
/// "complete", "partial", "torn", "not_read".
[[nodiscard]] const char *to_string(EvidenceState state);

struct EvidenceMember {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;       ///< of the member; empty: not read, it is not in the archive
  std::int64_t read_ns = 0; ///< wall clock of the host, when its reading began
  EvidenceState state = EvidenceState::Complete;
  std::string why;                   ///< of a state that is not Complete
  std::vector<MissingRange> missing; ///< of the executable
  bool missing_cut = false;
};

/// Whom and what an archive is about, and why it was made.
struct EvidenceSubject {
  GuestText vm;       ///< its name, or a dump's
  std::string vm_key; ///< UUID; empty: not known
  std::string source; ///< "live", or "dump": nothing in it was read from a running VM
  ProcessIdentity process;
  std::string action;  ///< id; empty: collected by the command alone
  std::string actor;   ///< "uid 0 (root)"
  std::string why;     ///< in words of the actor
  std::string version; ///< of Outguard
};

/// Of the file manifest.json: several lines, for people too.
[[nodiscard]] std::string evidence_manifest(const EvidenceSubject &subject,
                                            std::vector<EvidenceMember> members);

/// Of the file SHA256SUMS, which `sha256sum -c` reads.
[[nodiscard]] std::string checksum_lines(const std::vector<EvidenceMember> &members);

[[nodiscard]] std::string guest_state_json(const EvidenceSubject &subject,
                                           const GuestStateSeen &state);
[[nodiscard]] std::string open_file_json(const GuestText &vm, std::int32_t pid,
                                         const OpenFileSeen &file);
[[nodiscard]] std::string library_json(const GuestText &vm, std::int32_t pid,
                                       const LibrarySeen &library);
[[nodiscard]] std::string environment_json(const GuestText &vm, std::int32_t pid,
                                           const EnvironmentRead &environment);
/// An archive that was filed, as `outguard evidence --out FILE -o json` tells it.
[[nodiscard]] std::string filed_json(const std::string &path, const std::string &sha256,
                                     std::uint64_t bytes, const std::vector<std::string> &gaps);
/// About packets.pcapng.
[[nodiscard]] std::string packets_json(const GuestText &vm, const PacketsCopied &packets);

} // namespace outguard::store
