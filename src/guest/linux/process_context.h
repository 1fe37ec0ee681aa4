#pragma once
// Who a process acts as and where it lives: credentials, namespaces, its pid in the innermost of
// them, cgroup, container and unit. ContextReader is bound at attach and immutable; ContextMemo
// belongs to one walk and remembers what processes share.

#include <optional>

#include "facts/process_seen.h"
#include "guest/linux/cgroup_reader.h"
#include "guest/linux/credentials_reader.h"
#include "guest/linux/memo.h"
#include "guest/linux/namespace_reader.h"
#include "guest/linux/task.h"

namespace outguard::guest {

/// Members of task_struct beside those of Task that lead to the context. Null: unknown.
struct ContextLinks {
  GuestVirtual thread_pid; ///< struct pid
  GuestVirtual css_set;
  friend bool operator==(const ContextLinks &, const ContextLinks &) = default;
};

class ContextMemo {
public:
  /// A task that changed may hold new objects at addresses seen before.
  void forget() { *this = {}; }

private:
  friend class ContextReader;
  struct Acting {
    std::optional<Credentials> credentials;
    std::optional<std::uint64_t> user_namespace;
  };
  struct Group {
    std::optional<GuestText> path, container, unit;
  };
  Memo<Acting> credentials_;
  Memo<NamespacesSeen> proxies_;
  Memo<std::optional<std::uint64_t>> pid_spaces_;
  Memo<Group> groups_;
};

class ContextReader {
public:
  explicit ContextReader(const TypeTable &types);

  [[nodiscard]] ContextLinks links(GuestVirtual task, KernelReader &reader) const;
  void read(const Task &task, const ContextLinks &links, ContextMemo &memo, KernelReader &reader,
            ProcessSeen &seen) const;

private:
  CredentialsReader credentials_;
  NamespaceReader namespaces_;
  CgroupReader cgroups_;
  Extent task_;
  std::optional<Member> thread_pid_, css_set_; ///< of task_struct
};

} // namespace outguard::guest
