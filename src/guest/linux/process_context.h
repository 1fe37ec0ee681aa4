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
  explicit ContextReader(const TypeTable &types)
      : credentials_(types), namespaces_(types), cgroups_(types) {}

  void read(const Task &task, ContextMemo &memo, KernelReader &reader, ProcessSeen &seen) const;

private:
  CredentialsReader credentials_;
  NamespaceReader namespaces_;
  CgroupReader cgroups_;
};

} // namespace outguard::guest
