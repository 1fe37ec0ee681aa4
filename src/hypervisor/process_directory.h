#pragma once
// One process as /proc shows it, held by a descriptor of its directory: a pid that is used again by
// another process gives errors here, never the other process's data. Immutable; any thread.

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::hypervisor {

class ProcessDirectory {
public:
  [[nodiscard]] static Result<ProcessDirectory> open(pid_t pid);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // NotFound, everywhere: there is no such file, or the process has ended.
  /// The first bytes of the file, at most `most`.
  [[nodiscard]] Result<std::string> read_start(const std::string &file, std::size_t most) const;
  /// The whole file; LimitReached if it is longer than `most` bytes.
  [[nodiscard]] Result<std::string> read(const std::string &file, std::size_t most) const;
  [[nodiscard]] Result<std::string> read_link(const std::string &file) const;
  [[nodiscard]] Result<Fd> open_file(const std::string &file, int flags) const;
  /// Names in a folder, "." and ".." left out; LimitReached beyond `most`.
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string &folder,
                                                      std::size_t most) const;
  /// Clock ticks since boot: with the pid, the identity of a process.
  [[nodiscard]] Result<std::uint64_t> start_time() const;
  /// Inode of a file after following links, as namespaces are told apart ("ns/net").
  [[nodiscard]] Result<std::uint64_t> inode(const std::string &file) const;

private:
  ProcessDirectory(pid_t pid, Fd directory) : pid_(pid), directory_(std::move(directory)) {}
  [[nodiscard]] std::string path(const std::string &file) const;

  pid_t pid_;
  Fd directory_;
};

/// Every process id in /proc.
[[nodiscard]] Result<std::vector<pid_t>> list_processes();

} // namespace outguard::hypervisor
