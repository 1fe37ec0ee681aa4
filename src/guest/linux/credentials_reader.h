#pragma once
// struct cred -> whom a process acts as. A kernel whose types lack a member has no credentials to
// tell: missing() names it. Immutable.

#include <array>
#include <optional>
#include <string>

#include "facts/process_seen.h"
#include "guest/linux/kernel_reader.h"

namespace outguard::guest {

struct CredentialsFound {
  std::optional<Credentials> credentials;
  GuestVirtual user_namespace; ///< struct user_namespace; null: unknown
};

class CredentialsReader {
public:
  explicit CredentialsReader(const TypeTable &types);

  [[nodiscard]] CredentialsFound read(GuestVirtual cred, KernelReader &reader) const;
  /// "cred.cap_bset"; empty: all is there.
  [[nodiscard]] const std::string &missing() const { return missing_; }

private:
  std::string missing_;
  Extent extent_;
  std::array<Member, 8> ids_;  ///< in the order of Credentials
  std::array<Member, 5> sets_; ///< the same
  Member user_namespace_;
};

} // namespace outguard::guest
