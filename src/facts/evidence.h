#pragma once
// What a sensor reads of one process for an archive of evidence, beside what process_detail.h and
// socket_seen.h have: its open files, its environment, the files that it runs code of, and which
// parts of a copy could not be read.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/guest_text.h"
#include "facts/process_detail.h"

namespace outguard {

/// An open descriptor, as `readlink /proc/PID/fd/N` names it.
struct OpenFileSeen {
  std::int32_t fd = 0;
  std::optional<GuestText> path; ///< "/etc/passwd", "socket:[123]"; nullopt: cannot be read
  bool deleted = false;
  std::uint64_t inode = 0;
  std::optional<std::uint64_t> position; ///< bytes
  std::optional<std::uint32_t> flags;    ///< O_* as /proc/PID/fdinfo/N has them, without O_CLOEXEC

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.fd, self.path, self.deleted, self.inode, self.position, self.flags);
  }
};

/// A file that the process has mapped to run code of: its program, its libraries.
struct LibrarySeen {
  std::optional<GuestText> path; ///< as /proc/PID/maps prints it
  bool deleted = false;
  std::uint64_t inode = 0;
  FileHash hash;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.path, self.deleted, self.inode, self.hash);
  }
};

/// Bytes of a copied file that were not in the guest's memory: zeros in the copy.
struct MissingRange {
  std::uint64_t offset = 0, bytes = 0;
  friend bool operator==(const MissingRange &, const MissingRange &) = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.offset, self.bytes);
  }
};

} // namespace outguard
