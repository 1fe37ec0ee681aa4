#pragma once
// What goes into an archive, as it is collected: each part in memory of its own that a packer
// reads, beside what the manifest will say of it. One thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "store/evidence_json.h"

namespace outguard::evidence {

class Parts {
public:
  struct Part {
    store::EvidenceMember member;
    Fd bytes;
  };

  /// What was read until now is of `read_ns`. Text is cut at a cap and then partial.
  void add_text(const std::string &name, std::string text, std::int64_t read_ns,
                const Completeness &completeness = {});
  void add(store::EvidenceMember member, Fd bytes);
  void not_read(const std::string &name, std::string why);

  [[nodiscard]] std::vector<Part> &all() { return parts_; }
  [[nodiscard]] std::vector<store::EvidenceMember> members() const;
  /// Of all members that are not complete, in words.
  [[nodiscard]] std::vector<std::string> gaps() const;

private:
  std::vector<Part> parts_;
};

} // namespace outguard::evidence
