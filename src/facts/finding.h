#pragma once
// A match as policy judged it: what the alert says and what the responder is asked to do.
// Made by detect/, shown by store/, acted on by respond/.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/flow_seen.h"
#include "facts/process_detail.h"
#include "facts/response.h"
#include "facts/vm_identity.h"

namespace outguard {

/// Suricata's scale: 1 is the worst.
enum class Severity : std::uint8_t { High = 1, Medium = 2, Low = 3 };
/// "high", "medium", "low".
[[nodiscard]] const char *to_string(Severity severity);

struct Finding {
  MatchSeen match;
  VmIdentity vm;
  std::optional<FileHash> executable; ///< of the process that is named first; nullopt: not known
  Severity severity = Severity::Medium;
  std::uint32_t signature_id = 0; ///< one per indicator type, never reused (detect/signatures.h)
  std::string signature;          ///< fixed text, nothing of guest or feed in it
  std::string category;
  std::string rule;                          ///< name of the policy rule that decided
  ResponseMode mode = ResponseMode::Monitor; ///< Monitor: do `wanted` up to the last step
  std::vector<ResponseWanted> wanted;        ///< in the order to do them
};

} // namespace outguard
