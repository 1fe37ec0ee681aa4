#pragma once
// The namespaces of a process, by the inode numbers that /proc/PID/ns shows, and its pid in the
// innermost pid namespace. Each member is optional: a kernel that lacks a namespace does without.
// Remembers the inodes of the first namespaces: they are variables of the kernel, never freed. One
// thread at a time.

#include <array>
#include <map>
#include <optional>
#include <string>

#include "facts/process_seen.h"
#include "guest/linux/kernel_reader.h"

namespace outguard::guest {

/// struct pid, as its innermost namespace sees it.
struct PidFound {
  std::int32_t number = 0;
  GuestVirtual space; ///< struct pid_namespace
};

class NamespaceReader {
public:
  explicit NamespaceReader(const TypeTable &types);

  /// All but `pid` and `user`, which do not hang on nsproxy (its pid_ns_for_children is another's).
  [[nodiscard]] NamespacesSeen of_proxy(GuestVirtual nsproxy, KernelReader &reader) const;
  [[nodiscard]] std::optional<PidFound> innermost(GuestVirtual pid, KernelReader &reader) const;
  /// What innermost() lacks, "upid.nr"; empty: all is there.
  [[nodiscard]] const std::string &missing() const { return pid_missing_; }
  /// Of a struct user_namespace and of a struct pid_namespace.
  [[nodiscard]] std::optional<std::uint64_t> user_inode(GuestVirtual space,
                                                        KernelReader &reader) const {
    return inode_of(space, user_inode_, reader);
  }
  [[nodiscard]] std::optional<std::uint64_t> pid_inode(GuestVirtual space,
                                                       KernelReader &reader) const {
    return inode_of(space, pid_inode_, reader);
  }

private:
  /// A namespace that nsproxy points to.
  struct Link {
    std::optional<std::uint64_t> NamespacesSeen::*seen = nullptr;
    std::optional<Member> pointer; ///< in nsproxy
    std::optional<Member> inode;   ///< in the namespace
  };
  [[nodiscard]] std::optional<std::uint64_t>
  inode_of(GuestVirtual space, const std::optional<Member> &inode, KernelReader &reader) const;

  Extent proxy_;
  std::array<Link, 6> links_;
  std::optional<Member> user_inode_, pid_inode_;
  std::string pid_missing_;
  Extent pid_, upid_;
  Member level_, upid_number_, upid_namespace_;
  std::uint32_t numbers_ = 0;   ///< offset in struct pid of an array of upid, one a level
  std::uint32_t upid_size_ = 0; ///< bytes
  mutable std::map<GuestVirtual, std::uint64_t> first_inodes_; ///< by the place of the number
};

} // namespace outguard::guest
